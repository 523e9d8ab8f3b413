/** The aims of the table of `deno task bench`. They compare the medians of both sides. A missed aim is no failure. */

/** A value that a line should reach. */
export interface Aim {
  readonly text: string;
  isMet(ours: number, theirs: number): boolean;
  /** A more ambitious aim than this one. */
  readonly beyond?: Aim | undefined;
}

/** The aims of lines that depend on the store; `rest` and `after` are memory before and after the requests. */
export type StoreAims =
  & Readonly<Record<"create" | "storm" | "peak" | "json" | "table" | "pages", Aim>>
  & Readonly<Partial<Record<"cpu" | "protobuf" | "rest" | "after", Aim>>>;

const A_THIRD = atMostTimes(0.33);

export const AIMS = {
  version: atMostTimes(1.5),
  getCsr: atMostTimes(2.5),
  firstCertificate: atMost(0.7, "s"),
  fewNodes: atMost(1.5, "s"),
  idle: atMost(0.5, "%"),
  firstPageOfRecords: atMost(100, "ms"),
  uiOnce: atMost(1000, "ms"),
  uiAgain: atMostTimes(0.5),
  certificates: atLeastTimes(1),
  sqlite: {
    cpu: atMost(0.4, "ms"),
    create: atLeastTimes(1.5, atLeastTimes(1.8)),
    storm: atMostTimes(0.68, atMostTimes(0.56)),
    peak: A_THIRD,
    json: atMostTimes(0.25),
    table: atMostTimes(0.5),
    pages: atMostTimes(0.6),
    rest: atMost(85, "MB"),
    after: atMost(200, "MB"),
  },
  oneOnEtcd: {
    create: atLeastTimes(1, atLeastTimes(1.2)),
    storm: atMostTimes(1),
    peak: A_THIRD,
    json: atMostTimes(0.25),
    table: atMostTimes(0.5),
    pages: atMostTimes(0.6),
  },
  threeOnEtcd: {
    create: atLeastTimes(0.85, atLeastTimes(1)),
    storm: atMostTimes(0.8),
    peak: A_THIRD,
    json: atMostTimes(0.3),
    table: atMostTimes(0.5),
    protobuf: atMostTimes(0.5),
    pages: atMostTimes(0.6),
  },
} as const satisfies Readonly<Record<string, Aim | StoreAims>>;

/** Creates an aim that is an upper limit, in the unit of the line. */
export function atMost(limit: number, unit: string): Aim {
  return { text: `${limit} ${unit}`, isMet: (ours) => ours <= limit };
}

/** Creates an aim that is an upper limit, as a multiple of the peer's number. */
export function atMostTimes(ratio: number, beyond?: Aim): Aim {
  return { text: `${ratio} ×`, isMet: (ours, theirs) => ours <= ratio * theirs, beyond };
}

/** Creates an aim that is a lower limit, as a multiple of the peer's number. */
export function atLeastTimes(ratio: number, beyond?: Aim): Aim {
  return { text: `${ratio} ×`, isMet: (ours, theirs) => ours >= ratio * theirs, beyond };
}

/** Formats whether an aim is met; empty without an aim. */
export function formatVerdict(aim: Aim | undefined, ours: number, theirs: number): string {
  if (aim === undefined) return "";
  if (aim.beyond?.isMet(ours, theirs) === true) return "beyond it";
  return formatMet(aim.isMet(ours, theirs));
}

export function formatMet(isMet: boolean): string {
  return isMet ? "met" : "missed";
}
