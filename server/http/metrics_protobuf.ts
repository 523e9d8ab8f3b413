/** Metrics as delimited protobuf (`io.prometheus.client.MetricFamily`, prometheus/client_model `metrics.proto`). */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { MetricObjectWithValues, MetricValue } from "prom-client";

/** How clients ask for this form. */
export const PROTOBUF_METRICS = {
  type: "application/vnd.google.protobuf",
  proto: "io.prometheus.client.MetricFamily",
};

type Family = MetricObjectWithValues<MetricValue<string>>;
type Labels = Readonly<Record<string, unknown>>;
type Value = MetricValue<string> & { readonly metricName?: string };

/** Every family behind its length. */
export function encodeMetricFamilies(families: readonly Family[]): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  for (const family of families) {
    writer.fork();
    writeFamily(writer, family);
    writer.join();
  }
  return writer.finish();
}

/** Numbers of `MetricType`, and the field of `Metric` that holds the value. */
const SIMPLE_TYPES: Readonly<Record<string, readonly [type: number, field: number]>> = {
  counter: [0, 3],
  gauge: [1, 2],
  summary: [2, 4],
};
const HISTOGRAM: readonly [type: number, field: number] = [4, 7];

function writeFamily(writer: BinaryWriter, family: Family): void {
  const type = String(family.type);
  const [number, field] = SIMPLE_TYPES[type] ?? HISTOGRAM;
  writer.tag(1, WireType.LengthDelimited).string(family.name);
  writer.tag(2, WireType.LengthDelimited).string(family.help);
  writer.tag(3, WireType.Varint).int32(number);
  if (type === "counter" || type === "gauge") {
    for (const { labels, value } of family.values) {
      writeMetric(writer, labels, field, () => writer.tag(1, WireType.Bit64).double(value));
    }
    return;
  }
  const part = type === "summary" ? "quantile" : "le";
  for (const { labels, parts, sum, count } of groupSeries(family.name, part, family.values)) {
    writeMetric(writer, labels, field, () => {
      writer.tag(1, WireType.Varint).uint64(count);
      writer.tag(2, WireType.Bit64).double(sum);
      for (const [at, value] of parts) {
        writer.tag(3, WireType.LengthDelimited).fork();
        if (part === "quantile") writer.tag(1, WireType.Bit64).double(at).tag(2, WireType.Bit64).double(value);
        else writer.tag(1, WireType.Varint).uint64(value).tag(2, WireType.Bit64).double(at);
        writer.join();
      }
    });
  }
}

function writeMetric(writer: BinaryWriter, labels: Labels, field: number, writeValue: () => void): void {
  writer.tag(4, WireType.LengthDelimited).fork();
  for (const [name, value] of Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.LengthDelimited).string(String(value));
    writer.join();
  }
  writer.tag(field, WireType.LengthDelimited).fork();
  writeValue();
  writer.join();
  writer.join();
}

interface Series {
  readonly labels: Labels;
  readonly parts: (readonly [at: number, value: number])[];
  sum: number;
  count: number;
}

/** Puts the lines of a histogram or summary that belong together side by side again. */
function groupSeries(name: string, part: string, values: readonly Value[]): readonly Series[] {
  const byLabels = new Map<string, Series>();
  for (const { labels: all, metricName, value } of values) {
    const { [part]: at, ...labels } = all as Labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    const series: Series = byLabels.get(key) ?? { labels, parts: [], sum: 0, count: 0 };
    byLabels.set(key, series);
    if (metricName === `${name}_sum`) series.sum = value;
    else if (metricName === `${name}_count`) series.count = value;
    else series.parts.push([at === "+Inf" ? Number.POSITIVE_INFINITY : Number(at), value]);
  }
  return [...byLabels.values()];
}
