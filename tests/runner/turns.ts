/**
 * Dear tests take turns. With `TEST_SHARE=3` a third of them runs, another third on each day; `.ci/run` does so.
 * Without it all run.
 */
import { appendFileSync } from "node:fs";
import process from "node:process";

/** The number of days in which each of the tests that take turns has run. */
export const TEST_SHARE: number = parseShare(process.env["TEST_SHARE"] ?? "1");

const TODAY = Math.floor(Date.now() / 86_400_000);

/** Reports whether it is the turn of one place of a list. */
export function isTurn(place: number, share: number = TEST_SHARE, day: number = TODAY): boolean {
  return place % share === day % share;
}

/** Splits a list into those whose turn it is, at least one, and the others. */
export function splitByTurn<T>(
  all: readonly T[],
  share: number = TEST_SHARE,
  day: number = TODAY,
): readonly [now: readonly T[], later: readonly T[]] {
  const days = Math.min(share, all.length);
  return [all.filter((_, place) => isTurn(place, days, day)), all.filter((_, place) => !isTurn(place, days, day))];
}

type Declare = (name: string, run: () => Promise<void>) => void;

/** Makes a `test` whose tests take turns with each other, and which prints the names of those that it leaves out. */
export function inTurn(test: Declare): Declare {
  let place = 0;
  return (name, run) => {
    if (isTurn(place++)) test(name, run);
    else report([name]);
  };
}

/** Picks those of a list whose turn it is, and prints the names of the others. */
export function takeTurns<T>(all: readonly T[], getName: (one: T) => string): readonly T[] {
  const [now, later] = splitByTurn(all);
  if (later.length > 0) report(later.map(getName));
  return now;
}

/** Writes what is left to another day where the runner reads it, as Deno keeps the output of tests; else prints it. */
function report(names: readonly string[]): void {
  const line = `left to another day: ${names.join(", ")}\n`;
  const file = process.env["TEST_LEFT_OUT"];
  if (file === undefined) process.stdout.write(line);
  else appendFileSync(file, line);
}

function parseShare(text: string): number {
  const share = Number(text);
  if (!Number.isInteger(share) || share < 1) throw new Error(`TEST_SHARE is not a number of days: ${text}`);
  return share;
}
