/** The judge of histories: a program with porcupine, `tests/interop/peers/history`, that is run over the file of a history. */
import { join } from "node:path";
import { runProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";
import { HISTORY_FILE } from "./history.ts";

/** The name of the judge among the peers that are built from Go modules. */
export const JUDGE_PEER = "history-judge";

/** The verdict of the judge about one history. */
export interface Verdict {
  readonly title: string;
  readonly calls: number;
  /** Objects and operations whose order porcupine found. */
  readonly objects: number;
  readonly operations: number;
  readonly watches: number;
  readonly events: number;
  /** Lists, pages and gets that were compared with the state at their revision. */
  readonly reads: number;
  /** Reads that could not be compared, or not whole, because no watch covered the changes around them. */
  readonly unjudged: number;
  /** Objects for which porcupine found neither an order nor that there is none, within its time. */
  readonly unknown: readonly string[];
  readonly faults: readonly { readonly property: string; readonly message: string }[];
  /** The path of the page that shows the faults; empty for none. */
  readonly page: string;
}

/** Judges the history in a folder; pages about its faults are written beside it. Throws an Error when it cannot be read. */
export async function judgeHistory(folder: string): Promise<Verdict> {
  const { code, stdout, stderr } = await runProgram(peerPath(JUDGE_PEER), [
    "-pages",
    folder,
    join(folder, HISTORY_FILE),
  ]);
  if (code !== 0) throw new Error(`the history cannot be judged: ${stderr.trim()}`);
  return JSON.parse(stdout) as Verdict; // the program is ours, and the Verdict is its output
}

/** Lists what is wrong, one line each: broken promises, and what could not be proved. */
export function listVerdictFaults({ faults, unknown }: Verdict): readonly string[] {
  return [
    ...faults.map(({ property, message }) => `${property}: ${message}`),
    ...unknown.map((name) => `not proved: whether the calls about ${name} are linearizable was not found out in time`),
  ];
}

/** Describes in one line what was judged. */
export function formatVerdict({ calls, operations, objects, watches, events, reads, unjudged }: Verdict): string {
  return [
    `${calls} calls judged: ${operations} operations on ${objects} objects`,
    `${reads} reads at a revision${unjudged === 0 ? "" : ` (${unjudged} in part)`}`,
    `${events} events of ${watches} watches`,
  ].join(", ");
}
