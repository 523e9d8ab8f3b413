/** File systems that fail: at the n-th call, or at every change after a simulated kill of the process. */
import { basename, dirname, join } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";

/** Disk faults that leave a file in different states, with the error texts of `createFilePort`. */
export const FILE_FAULTS: readonly FileFault[] = [
  { name: "ENOSPC", text: "no space left on device", done: "nothing" },
  { name: "ENOSPC in the middle of a write, and then EIO", text: "no space left on device", done: "half" },
  { name: "a failing fsync", text: "EIO: i/o error, fsync", done: "all" },
];

export interface FileFault {
  readonly name: string;
  readonly text: string;
  /**
   * How much of a failing write is done. Half leaves a temporary file with half of the text, which cannot be removed.
   */
  readonly done: "nothing" | "half" | "all";
}

/** Files that fail, and whether a call has failed. */
interface FailingFiles {
  readonly files: FilePort;
  hasFailed(): boolean;
}

/** The calls that a fault affects. */
const AFFECTED: Readonly<Record<FileFault["done"], RegExp>> = {
  nothing: /./,
  half: /^(?:writeAtomic|createExclusive)$/,
  all: /^(?:writeAtomic|createExclusive|symlink|rename|unlink|makeDirectory)$/,
};

type Call = (...args: readonly unknown[]) => Promise<unknown>;

/** Creates files that fail at one affected call, after `skipped` others. Reads may fail too. */
export function createFailingFiles(files: FilePort, skipped: number, { text, done }: FileFault): FailingFiles {
  let left = skipped;
  let failed = false;
  const failing = Object.entries(files).flatMap(([name, call]) =>
    typeof call !== "function" || !AFFECTED[done].test(name) ? [] : [[name, async (...args: readonly unknown[]) => {
      const isNow = left-- === 0;
      failed ||= isNow;
      if (!isNow) return await (call as Call)(...args);
      if (done === "all") await (call as Call)(...args);
      if (done === "half") await writeHalf(files, args);
      throw new AppError("io", `cannot ${name} "${args[0]}": ${text}`, { hint: "repair the disk" });
    }]]
  );
  return { files: { ...files, ...Object.fromEntries(failing) }, hasFailed: () => failed };
}

/** Writes to the temporary file that the real file system would use; it may exist already. */
async function writeHalf(files: FilePort, args: readonly unknown[]): Promise<void> {
  const [path, text, mode] = args as [string, string, number];
  const rest = join(dirname(path), `.${basename(path)}.0.tmp`);
  if (await files.lstat(rest) !== undefined) return;
  await files.createExclusive(rest, text.slice(0, text.length / 2), mode);
}

/** Thrown where a real process would have been killed. */
export class Killed extends Error {}

const CHANGES = ["writeAtomic", "createExclusive", "symlink", "rename", "unlink", "makeDirectory"] as const;

/** Simulates a kill: after a number of changes, every further change throws `Killed`. */
export function createDyingFiles(files: FilePort, changes: number): FilePort {
  let left = changes;
  const dying = CHANGES.map((name) => [
    name,
    (...args: readonly unknown[]) => {
      if (left-- <= 0) return Promise.reject(new Killed(`killed before ${name}`));
      return (files[name] as (...args: readonly unknown[]) => Promise<void>)(...args);
    },
  ]);
  return { ...files, ...Object.fromEntries(dying) };
}
