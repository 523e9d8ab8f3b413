/** Checks histories with `tests/interop/peers/history`, a Go program that uses porcupine. */
import { join } from "node:path";
import { runProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";
import { HISTORY_FILE } from "./history.ts";

/** The name of the program among the peers that are built from Go modules. */
export const HISTORY_CHECKER = "history-check";

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
  /** Reads that could not be compared in full, because no watch covered the changes around them. */
  readonly unchecked: number;
  /** Objects for which porcupine could not decide in time whether an order exists. */
  readonly unknown: readonly string[];
  readonly faults: readonly { readonly property: string; readonly message: string }[];
  /** The path of the page that shows the faults; empty if there are none. */
  readonly page: string;
}

/** Checks the history in a folder, and writes pages about its faults there. Throws an Error if it cannot be read. */
export async function checkHistory(folder: string): Promise<Verdict> {
  const { code, stdout, stderr } = await runProgram(peerPath(HISTORY_CHECKER), [
    "-pages",
    folder,
    join(folder, HISTORY_FILE),
  ]);
  if (code !== 0) throw new Error(`the history cannot be checked: ${stderr.trim()}`);
  return JSON.parse(stdout) as Verdict; // the output of our own program
}

/** Lists broken promises and what could not be proved, one line each. */
export function listVerdictFaults({ faults, unknown }: Verdict): readonly string[] {
  return [
    ...faults.map(({ property, message }) => `${property}: ${message}`),
    ...unknown.map((name) =>
      `not proved: whether the calls about ${name} are linearizable could not be decided in time`
    ),
  ];
}

/** Summarizes what was checked in one line. */
export function formatVerdict({ calls, operations, objects, watches, events, reads, unchecked }: Verdict): string {
  return [
    `${calls} calls checked: ${operations} operations on ${objects} objects`,
    `${reads} reads at a revision${unchecked === 0 ? "" : ` (${unchecked} in part)`}`,
    `${events} events of ${watches} watches`,
  ].join(", ");
}
