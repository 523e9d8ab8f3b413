/** What was measured, as data that can be kept and as the table that a person reads. */
import type { Measured } from "./measure.ts";
import type { Reading, Unit } from "./scenario.ts";
import { medianOf, spreadOf } from "./stats.ts";

/** One side of a line. */
export interface SideReport {
  readonly median: number;
  readonly values: readonly number[];
  /** Of the answer that was timed. */
  readonly bodyMegabytes?: number;
  /** Of all runs together: times that a client had no answer and asked again. */
  readonly retries: number;
  /** Medians of what the servers used; undefined where no server was measured. */
  readonly cpuSeconds?: number;
  readonly residentMegabytes?: number;
  readonly peakMegabytes?: number;
}

/** One line of the table. */
export interface LineReport {
  readonly what: string;
  readonly form: string;
  readonly unit: Unit;
  readonly peer: string;
  readonly ours: SideReport;
  readonly theirs: SideReport;
  /** Ours divided by the peer's. */
  readonly ratio: number;
  readonly aim?: string;
  readonly isMet?: boolean;
}

/** Reports what was measured. */
export function reportOf({ line, form, ours, theirs }: Measured): LineReport {
  const [mine, peers] = [sideOf(ours), sideOf(theirs)];
  const aim = line.aimOf(form);
  return {
    what: line.what,
    form,
    unit: line.unit,
    peer: line.peer,
    ours: mine,
    theirs: peers,
    ratio: mine.median / peers.median,
    ...(aim === undefined ? {} : { aim: aim.text, isMet: aim.isMet(mine.median, peers.median) }),
  };
}

/** The columns of a line. */
export const LINES_HEAD: readonly string[] = [
  ...["what", "form", "ours", "peer", "ours/peer", "aim", "", "CPU s", "RSS MB", "peak MB", "the peer is"],
];

/** A line as the cells of a row. */
export function rowOf(line: LineReport): readonly string[] {
  return [
    line.what,
    line.form,
    formatSide(line.ours, line.unit),
    formatSide(line.theirs, line.unit),
    `${line.ratio.toFixed(2)} ×`,
    line.aim ?? "–",
    formatMet(line.isMet),
    formatBoth(line, "cpuSeconds", 2),
    formatBoth(line, "residentMegabytes", 0),
    formatBoth(line, "peakMegabytes", 0),
    line.peer,
  ];
}

/** A word on an aim. */
export function formatMet(isMet: boolean | undefined): string {
  if (isMet === undefined) return "";
  return isMet ? "met" : "missed";
}

function sideOf(readings: readonly Reading[]): SideReport {
  const values = readings.map(({ value }) => value);
  const usages = readings.flatMap(({ usage }) => usage ?? []);
  const bodies = readings.flatMap(({ bytes }) => bytes ?? []);
  const side = {
    median: medianOf(values),
    values,
    retries: readings.reduce((sum, { retries = 0 }) => sum + retries, 0),
    ...(bodies.length === 0 ? {} : { bodyMegabytes: medianOf(bodies) / 1e6 }),
  };
  if (usages.length === 0) return side;
  return {
    ...side,
    cpuSeconds: medianOf(usages.map(({ cpuSeconds }) => cpuSeconds)),
    residentMegabytes: medianOf(usages.map(({ residentBytes }) => residentBytes / 1e6)),
    peakMegabytes: medianOf(usages.map(({ peakBytes }) => peakBytes / 1e6)),
  };
}

/** Median, and the spread that says how far to believe it. */
function formatSide({ median, values, bodyMegabytes, retries }: SideReport, unit: Unit): string {
  const spread = spreadOf(values).map((value) => formatNumber(value)).join("–");
  const body = bodyMegabytes === undefined ? "" : `, ${formatNumber(bodyMegabytes)} MB`;
  const again = retries === 0 ? "" : `, ${countOf(retries, "retry", "retries")}`;
  return `${formatNumber(median)} ${unit} (${spread})${body}${again}`;
}

/** Three digits that count, no more. */
export function formatNumber(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function formatBoth(
  { ours, theirs }: LineReport,
  key: "cpuSeconds" | "residentMegabytes" | "peakMegabytes",
  digits: number,
): string {
  const [mine, peers] = [ours[key], theirs[key]];
  if (mine === undefined && peers === undefined) return "–";
  return [mine, peers].map((value) => value?.toFixed(digits) ?? "–").join(" / ");
}

/** A count with its noun. */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
