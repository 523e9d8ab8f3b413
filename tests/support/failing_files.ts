/** A file system whose n-th call fails, of all calls, reading ones too. */
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";

/** What a disk does to a call: nothing of it is done, or all of it but for the last sync. */
export const FILE_FAULTS: readonly FileFault[] = [
  { name: "ENOSPC, EROFS or EIO", text: "no space left on device", isDone: false },
  { name: "a failing fsync", text: "EIO: i/o error, fsync", isDone: true },
];

/** One of them. */
export interface FileFault {
  readonly name: string;
  readonly text: string;
  readonly isDone: boolean;
}

/** Files over others, and whether a call of theirs has failed. */
export interface FailingFiles {
  readonly files: FilePort;
  hasFailed(): boolean;
}

/** Lets so many calls through, then fails one. A whole disk may fail on a write only; this one is worse. */
export function createFailingFiles(files: FilePort, skipped: number, { text, isDone }: FileFault): FailingFiles {
  let left = skipped;
  let failed = false;
  const failing = Object.entries(files).flatMap(([name, call]) =>
    typeof call !== "function" ? [] : [[name, async (...args: readonly unknown[]) => {
      const isNow = left-- === 0;
      failed ||= isNow;
      if (!isNow || isDone) {
        const result = await (call as (...args: readonly unknown[]) => Promise<unknown>)(...args);
        if (!isNow) return result;
      }
      throw new AppError("io", `cannot ${name} "${args[0]}": ${text}`, { hint: "mend the disk" });
    }]]
  );
  return { files: Object.fromEntries(failing), hasFailed: () => failed };
}
