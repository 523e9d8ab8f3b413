/** The results as data that can be kept, and as the table that a person reads. */
import type { Measured } from "./measure.ts";
import type { Usage } from "./processes.ts";
import type { Reading, Unit } from "./scenario.ts";
import { findMedian, findSpread } from "./stats.ts";

/** Medians of what was used. */
export interface UsageReport {
  readonly cpuSeconds: number;
  readonly residentMegabytes: number;
  readonly peakMegabytes: number;
}

/** One side of a line; what was used is undefined where no server was measured. */
export interface SideReport extends Partial<UsageReport> {
  readonly median: number;
  readonly values: readonly number[];
  /** The size of the answer that was timed. */
  readonly bodyMegabytes?: number;
  /** The number of retries in all runs together, after a request without an answer. */
  readonly retries: number;
  /** The part of it that etcd used. */
  readonly etcd?: UsageReport;
}

/** One line of the table. */
export interface LineReport {
  readonly what: string;
  readonly unit: Unit;
  readonly peer: string;
  readonly ours: SideReport;
  readonly theirs: SideReport;
  /** Ours divided by the peer's. */
  readonly ratio: number;
  readonly aim?: string;
  readonly isMet?: boolean;
}

export function createLineReport({ line, ours, theirs }: Measured): LineReport {
  const [mine, peers] = [toSideReport(ours), toSideReport(theirs)];
  const { aim } = line;
  return {
    what: line.what,
    unit: line.unit,
    peer: line.peer,
    ours: mine,
    theirs: peers,
    ratio: mine.median / peers.median,
    ...(aim === undefined ? {} : { aim: aim.text, isMet: aim.isMet(mine.median, peers.median) }),
  };
}

/** The columns of what was used, and how many digits count. */
const USED: readonly (readonly [keyof UsageReport, string, number])[] = [
  ["cpuSeconds", "CPU s", 2],
  ["residentMegabytes", "RSS MB", 0],
  ["peakMegabytes", "peak MB", 0],
];

/** The columns of a line. */
export const LINES_HEAD: readonly string[] = toHead(USED.map(([, title]) => title));

/** The columns where etcd's part stands beside the whole. */
export const ETCD_LINES_HEAD: readonly string[] = toHead(USED.flatMap(([, title]) => [title, "of etcd"]));

function toHead(used: readonly string[]): readonly string[] {
  return ["what", "ours", "peer", "ours/peer", "aim", "", ...used, "the peer is"];
}

/** A line as the cells of a row. */
export function toRow(line: LineReport): readonly string[] {
  return toCells(line, USED.map(([key, , digits]) => formatBoth(line.ours[key], line.theirs[key], digits)));
}

/** Formats a row with etcd's part beside the whole. */
export function toEtcdRow(line: LineReport): readonly string[] {
  const { ours, theirs } = line;
  return toCells(
    line,
    USED.flatMap(([key, , digits]) => [
      formatBoth(ours[key], theirs[key], digits),
      formatBoth(ours.etcd?.[key], theirs.etcd?.[key], digits),
    ]),
  );
}

function toCells(line: LineReport, used: readonly string[]): readonly string[] {
  return [
    line.what,
    formatSide(line.ours, line.unit),
    formatSide(line.theirs, line.unit),
    `${line.ratio.toFixed(2)} ×`,
    line.aim ?? "–",
    formatMet(line.isMet),
    ...used,
    line.peer,
  ];
}

/** A word on an aim. */
export function formatMet(isMet: boolean | undefined): string {
  if (isMet === undefined) return "";
  return isMet ? "met" : "missed";
}

function toSideReport(readings: readonly Reading[]): SideReport {
  const values = readings.map(({ value }) => value);
  const usages = readings.flatMap(({ usage }) => usage ?? []);
  const etcd = readings.flatMap(({ etcd }) => etcd ?? []);
  const bodies = readings.flatMap(({ bytes }) => bytes ?? []);
  return {
    median: findMedian(values),
    values,
    retries: readings.reduce((sum, { retries = 0 }) => sum + retries, 0),
    ...(bodies.length === 0 ? {} : { bodyMegabytes: findMedian(bodies) / 1e6 }),
    ...(usages.length === 0 ? {} : toUsageReport(usages)),
    ...(etcd.length === 0 ? {} : { etcd: toUsageReport(etcd) }),
  };
}

function toUsageReport(usages: readonly Usage[]): UsageReport {
  return {
    cpuSeconds: findMedian(usages.map(({ cpuSeconds }) => cpuSeconds)),
    residentMegabytes: findMedian(usages.map(({ residentBytes }) => residentBytes / 1e6)),
    peakMegabytes: findMedian(usages.map(({ peakBytes }) => peakBytes / 1e6)),
  };
}

/** Median, and the spread that says how far to believe it. */
function formatSide({ median, values, bodyMegabytes, retries }: SideReport, unit: Unit): string {
  const spread = findSpread(values).map((value) => formatNumber(value)).join("–");
  const body = bodyMegabytes === undefined ? "" : `, ${formatNumber(bodyMegabytes)} MB`;
  const again = retries === 0 ? "" : `, ${formatCount(retries, "retry", "retries")}`;
  return `${formatNumber(median)} ${unit} (${spread})${body}${again}`;
}

/** How often clients retried; empty without retries. */
export function formatRetries(retries: number): string {
  return retries === 0 ? "" : formatNumber(retries);
}

/** Three digits that count, no more. */
export function formatNumber(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function formatBoth(mine: number | undefined, peers: number | undefined, digits: number): string {
  if (mine === undefined && peers === undefined) return "–";
  return [mine, peers].map((value) => value?.toFixed(digits) ?? "–").join(" / ");
}

/** A count with its noun. */
export function formatCount(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
