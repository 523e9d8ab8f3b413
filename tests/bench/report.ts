/** The lines of the table as data and as rows. */
import { formatVerdict } from "./aims.ts";
import type { Measured } from "./measure.ts";
import type { Usage } from "./processes.ts";
import type { Reading, Unit } from "./scenario.ts";
import { findMedian } from "./stats.ts";

/** The medians of the usage of the servers. */
interface UsageReport {
  readonly cpuSeconds: number;
  readonly residentMegabytes: number;
  readonly peakMegabytes: number;
}

/** One side of a line; the usage is undefined if no server was measured. */
interface SideReport extends Partial<UsageReport> {
  readonly median: number;
  readonly values: readonly number[];
  /** The size of the timed answer. */
  readonly bodyMegabytes?: number;
  /** The total number of retries after a request without an answer, over all runs. */
  readonly retries: number;
  /** The part of etcd in the usage. */
  readonly etcd?: UsageReport;
}

export interface LineReport {
  readonly what: string;
  readonly unit: Unit;
  readonly peer: string;
  readonly ours: SideReport;
  readonly theirs: SideReport;
  /** Ours divided by the peer's. */
  readonly ratio: number;
  readonly aim?: string | undefined;
  /** A more ambitious aim than `aim`. */
  readonly beyond?: string | undefined;
  readonly verdict: string;
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
    aim: aim?.text,
    beyond: aim?.beyond?.text,
    verdict: formatVerdict(aim, mine.median, peers.median),
  };
}

export const LINES_HEAD: readonly string[] = [
  ...["what", "ours", "peer", "ours/peer", "aim", "beyond it", ""],
  ...["CPU s", "of etcd", "RSS MB", "peak MB", "the peer is"],
];

/** Formats a line as the cells of a row. */
export function toRow({ what, unit, peer, ours, theirs, ratio, aim, beyond, verdict }: LineReport): readonly string[] {
  return [
    ...[what, formatSide(ours, unit), formatSide(theirs, unit), `${ratio.toFixed(2)} ×`],
    ...[aim ?? "–", beyond ?? "–", verdict],
    formatBoth(ours.cpuSeconds, theirs.cpuSeconds, 2),
    formatBoth(ours.etcd?.cpuSeconds, theirs.etcd?.cpuSeconds, 2),
    formatBoth(ours.residentMegabytes, theirs.residentMegabytes, 0),
    formatBoth(ours.peakMegabytes, theirs.peakMegabytes, 0),
    peer,
  ];
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

/** Formats the median and all rounds in order. */
function formatSide({ median, values, bodyMegabytes, retries }: SideReport, unit: Unit): string {
  const body = bodyMegabytes === undefined ? "" : `, ${formatNumber(bodyMegabytes)} MB`;
  const retried = retries === 0 ? "" : `, ${retries} ${retries === 1 ? "retry" : "retries"}`;
  return `${formatNumber(median)} ${unit} (${values.map(formatNumber).join(", ")})${body}${retried}`;
}

/** Formats the number of retries; empty without retries. */
export function formatRetries(retries: number): string {
  return retries === 0 ? "" : formatNumber(retries);
}

/** Formats a number with three significant digits. */
export function formatNumber(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function formatBoth(mine: number | undefined, peers: number | undefined, digits: number): string {
  if (mine === undefined && peers === undefined) return "–";
  return [mine, peers].map((value) => value?.toFixed(digits) ?? "–").join(" / ");
}

export function formatRounds(rounds: number): string {
  return rounds === 1 ? "One round." : `Medians of ${rounds} rounds.`;
}
