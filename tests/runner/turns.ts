/**
 * Dear tests take turns. With `TEST_SHARE=3` a third of them runs; which third, the remainder of `TEST_TURN` says.
 * `.ci/run` takes the turn from the commit, so that each commit has its tests, whenever and wherever it is tried.
 * Without `TEST_SHARE` all run.
 */
import { appendFileSync } from "node:fs";
import process from "node:process";

/** The number of turns in which each of the tests that take turns has run. */
export const TEST_SHARE: number = parseCount("TEST_SHARE", 1);

const TEST_TURN = parseCount("TEST_TURN", 0);

/** Reports whether it is the turn of one place of a list. */
export function isTurn(place: number, share: number = TEST_SHARE, turn: number = TEST_TURN): boolean {
  return place % share === turn % share;
}

/** Splits a list into those whose turn it is, at least one, and the others. */
export function splitByTurn<T>(
  all: readonly T[],
  share: number = TEST_SHARE,
  turn: number = TEST_TURN,
): readonly [now: readonly T[], later: readonly T[]] {
  const turns = Math.min(share, all.length);
  return [all.filter((_, place) => isTurn(place, turns, turn)), all.filter((_, place) => !isTurn(place, turns, turn))];
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

/** Writes what is left to another turn where the runner reads it, as Deno keeps the output of tests; else prints it. */
function report(names: readonly string[]): void {
  const line = `left to another turn: ${names.join(", ")}\n`;
  const file = process.env["TEST_LEFT_OUT"];
  if (file === undefined) process.stdout.write(line);
  else appendFileSync(file, line);
}

function parseCount(name: "TEST_SHARE" | "TEST_TURN", least: number): number {
  const text = process.env[name] ?? String(least);
  const count = Number(text);
  if (!Number.isInteger(count) || count < least) throw new Error(`${name} is not a number from ${least} on: ${text}`);
  return count;
}
