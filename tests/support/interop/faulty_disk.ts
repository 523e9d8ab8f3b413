/** A disk that fails for one program, which preloads `disk_fault.c`, and the file that controls it. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import type { TempFolder } from "../temp.ts";
import { compilePreloaded } from "./recorded_disk.ts";

interface Failing {
  readonly errno: "ENOSPC" | "EIO" | "EROFS";
  /** The kinds of calls that fail, as letters of `disk_fault.c`. */
  readonly kinds: string;
  /** A part of the path, or with a trailing `$` its end. */
  readonly needle: string;
  /** Writes half of the bytes: `harmless` does nothing else, `first` also lets the following calls fail. */
  readonly short?: "harmless" | "first";
}

/** A fault of a disk on any path. */
export interface Fault extends Omit<Failing, "needle"> {
  readonly name: string;
  /** The number of calls that fail; by default 1. */
  readonly count?: number;
}

/** The faults to try at every call. */
export const FAULTS: readonly Fault[] = [
  { name: "ENOSPC", errno: "ENOSPC", kinds: "owtn" },
  { name: "EIO", errno: "EIO", kinds: "owstn" },
  { name: "EROFS", errno: "EROFS", kinds: "owtn" },
  { name: "a short write", errno: "EIO", kinds: "w", short: "harmless" },
  // libuv writes the rest itself, and does not report an error of that write.
  { name: "ENOSPC in the middle of a write", errno: "ENOSPC", kinds: "w", short: "first", count: 3 },
  { name: "a failing fsync", errno: "EIO", kinds: "s" },
];

export interface FaultyDisk {
  /** The environment of the program that uses this disk. */
  readonly env: Readonly<Record<string, string>>;
  /** Lets the next `skipped` calls succeed, then fails `count` calls (by default 1). */
  arm(failing: Failing, skipped: number, count?: number): Promise<void>;
  disarm(): Promise<void>;
  /** Returns the calls that have failed since the disk was armed. */
  hits(): Promise<readonly string[]>;
}

/** More calls than any program here makes. */
const MAX_CALLS = 400;

interface Round {
  readonly fault: Fault;
  /** The number of calls that succeeded before the fault. */
  readonly call: number;
  /** Describes the failing call in messages of the test. */
  readonly what: string;
}

export interface EachCall {
  /** The faults to try; by default all. Each must occur, or the test fails. */
  readonly faults?: readonly Fault[];
  /** The calls that fail, in order; by default all. A fault of writes must occur at each of them. */
  readonly calls?: readonly number[];
}

/**
 * Makes each call on a path fail in turn, with each fault, until an attempt makes no further call. `attempt` runs the
 * program on the armed disk and may disarm it. Returns the number of failed calls.
 */
export async function tryEachCall(
  disk: FaultyDisk,
  needle: string,
  attempt: (round: Round) => Promise<void>,
  { faults = FAULTS, calls }: EachCall = {},
): Promise<number> {
  let failed = 0;
  // When all calls are tried, a fault that another one contains finds nothing new.
  const tried = calls !== undefined
    ? faults
    : faults.filter((fault) => !faults.some((other) => contains(other, fault)));
  for (const fault of tried) {
    let hit = 0;
    for (const call of calls ?? Array(MAX_CALLS + 1).keys()) {
      assert.ok(calls !== undefined || call < MAX_CALLS, `${needle}: more than ${MAX_CALLS} calls`);
      await disk.arm({ ...fault, needle }, call, fault.count);
      await attempt({ fault, call, what: `${fault.name} at call ${call} on ${needle}` });
      await disk.disarm();
      const hits = await disk.hits();
      if (hits.length === 0) break;
      hit++;
    }
    assert.ok(hit > 0, `no call on ${needle} met ${fault.name}`);
    if (calls !== undefined && fault.kinds.includes("w")) {
      assert.equal(hit, calls.length, `${fault.name} on ${needle} was met by only some of the calls ${calls}`);
    }
    failed += hit;
  }
  return failed;
}

/** Reports whether each call that fails with `fault` also fails with `other`, in the same way. */
function contains(other: Fault, fault: Fault): boolean {
  return other !== fault && other.errno === fault.errno && other.count === fault.count &&
    (other.short ?? fault.short) === undefined &&
    [...fault.kinds].every((kind) => other.kinds.includes(kind));
}

/** The kinds of short writes, numbered as in `disk_fault.c`. */
const SHORT = { not: 0, harmless: 1, first: 2 } as const;

/** Builds the library and prepares its control file. Needs a C compiler. */
export async function createFaultyDisk(folder: TempFolder): Promise<FaultyDisk> {
  const library = await compilePreloaded("disk_fault", folder);
  const control = folder.join("disk_fault");
  let generation = 0;
  const write = async (line: string): Promise<void> => {
    await writeFile(`${control}.next`, line);
    await rename(`${control}.next`, control);
  };
  return {
    env: { LD_PRELOAD: library, DISK_FAULT: control },
    async arm({ errno, kinds, needle, short }, skipped, count = 1) {
      const words = [++generation, skipped, count, constants.errno[errno], SHORT[short ?? "not"], kinds, needle];
      await write(`${words.join(" ")}\n`);
    },
    disarm: () => write(""),
    async hits() {
      const text = existsSync(`${control}.hits`) ? await readFile(`${control}.hits`, "utf8") : "";
      const mark = `${generation} `;
      return text.split("\n").filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
    },
  };
}
