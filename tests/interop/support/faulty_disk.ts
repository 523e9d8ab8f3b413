/** A disk that fails for one program: `disk_fault.c`, preloaded, and the file that tells it what to do. */
import { existsSync } from "node:fs";
import { readFile, rename, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { ROOT, runProgram } from "../../support/child.ts";
import type { TempFolder } from "../../support/temp.ts";

/** Calls that can fail: open for writing, write, sync, truncate, and names (rename, link, unlink, mkdir). */
export type CallKinds = string;

/** What fails. */
export interface Failing {
  readonly errno: "ENOSPC" | "EIO" | "EROFS";
  /** Letters of o, w, s, t and n, see `disk_fault.c`. */
  readonly kinds: CallKinds;
  /** Part of the path, or its end where it ends with `$`. */
  readonly needle: string;
  /** Half of the bytes are written, and nothing is said. */
  readonly isShort?: boolean;
}

/** The faults that every call is tried with. */
export const FAULTS: readonly (Omit<Failing, "needle"> & { readonly name: string })[] = [
  { name: "ENOSPC", errno: "ENOSPC", kinds: "owtn" },
  { name: "EIO", errno: "EIO", kinds: "owstn" },
  { name: "EROFS", errno: "EROFS", kinds: "owtn" },
  { name: "a short write", errno: "EIO", kinds: "w", isShort: true },
  { name: "a failing fsync", errno: "EIO", kinds: "s" },
];

/** The control of the disk. */
export interface FaultyDisk {
  /** For the program that is to have this disk. */
  readonly env: Readonly<Record<string, string>>;
  /** Lets so many calls through, then fails so many (one without it). Counts from now. */
  arm(failing: Failing, skipped: number, count?: number): Promise<void>;
  disarm(): Promise<void>;
  /** The calls that have failed since the disk was armed. */
  hits(): Promise<readonly string[]>;
}

/** Builds the library and makes a control file; needs a C compiler. */
export async function createFaultyDisk(folder: TempFolder): Promise<FaultyDisk> {
  const library = folder.join("disk_fault.so");
  const control = folder.join("disk_fault");
  const source = join(ROOT, "tests", "interop", "support", "disk_fault.c");
  const built = await runProgram("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"]);
  if (built.code !== 0) throw new Error(`the faulty disk cannot be compiled: ${built.stderr}`);
  let generation = 0;
  const write = async (line: string): Promise<void> => {
    await writeFile(`${control}.next`, line);
    await rename(`${control}.next`, control);
  };
  return {
    env: { LD_PRELOAD: library, DISK_FAULT: control },
    async arm({ errno, kinds, needle, isShort = false }, skipped, count = 1) {
      const number = constants.errno[errno];
      await write(`${++generation} ${skipped} ${count} ${number} ${isShort ? 1 : 0} ${kinds} ${needle}\n`);
    },
    disarm: () => write(""),
    async hits() {
      const text = existsSync(`${control}.hits`) ? await readFile(`${control}.hits`, "utf8") : "";
      const mark = `${generation} `;
      return text.split("\n").filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length));
    },
  };
}
