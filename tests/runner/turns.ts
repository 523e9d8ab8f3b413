/**
 * Dear tests take turns. With `TLSBOOT_TEST_SHARE=3` a third of them runs, another third on each day; `.ci/run` does so.
 * Without it all run.
 */
import process from "node:process";

/** The number of days in which each of the tests that take turns has run. */
export const TEST_SHARE: number = parseShare(process.env["TLSBOOT_TEST_SHARE"] ?? "1");

const TODAY = Math.floor(Date.now() / 86_400_000);

/** The lines in the output of a test that name what it left to another day. The runner prints them. */
export const LEFT_OUT: RegExp = /^left to another day: .*$/gm;

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
    else process.stdout.write(`left to another day: ${name}\n`);
  };
}

/** Picks those of a list whose turn it is, and prints the names of the others. */
export function takeTurns<T>(all: readonly T[], getName: (one: T) => string): readonly T[] {
  const [now, later] = splitByTurn(all);
  if (later.length > 0) process.stdout.write(`left to another day: ${later.map(getName).join(", ")}\n`);
  return now;
}

function parseShare(text: string): number {
  const share = Number(text);
  if (!Number.isInteger(share) || share < 1) throw new Error(`TLSBOOT_TEST_SHARE is not a number of days: ${text}`);
  return share;
}
