/**
 * A log file that is put aside when it is full. A line is in it whole or not at all; what is put aside may be compressed,
 * and goes when it is too old or there are too many.
 */
import { Buffer } from "node:buffer";
import { closeSync, createReadStream, createWriteStream, existsSync, fstatSync, ftruncateSync } from "node:fs";
import { mkdirSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { getErrorMessage } from "../../core/errors.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { backupName, planRotation, type Retention } from "./rotation_plan.ts";

/** How a log file rotates. */
export interface RotatingFileOptions extends Retention {
  readonly path: string;
  readonly maxBytes: number;
}

/** An open log file. Disposing it waits for what is being compressed. */
export interface RotatingFile extends AsyncDisposable {
  /**
   * Appends a line, which is then with the operating system. Throws the system's error; nothing of the line is left then,
   * or it goes before the next one where the system refuses that too.
   */
  append(line: string): void;
}

const PRIVATE = 0o600;
/** Pieces in which the end of the last whole line is looked for. */
const PIECE_BYTES = 65_536;
const NEWLINE = 0x0a;

/** Opens the file to append to it; its folder (0700) and itself (0600) are made when missing. Throws the system's error. */
export function openRotatingFile(
  options: RotatingFileOptions,
  { clock, logger }: { readonly clock: Pick<Clock, "now">; readonly logger: Logger },
): RotatingFile {
  const { path, maxBytes } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let file = openToAppend(path);
  let size = fstatSync(file).size;
  const whole = wholeLines(file, size);
  /** Something stands behind the whole lines: of a run that was killed, or of a line that was not written to its end. */
  let isTorn = whole < size;
  size = whole;
  let isStuck = false;
  mend();
  let tidying = tidy();

  /** Where the system refuses, as for a file that may only grow, what is torn becomes a line of its own. */
  function mend(): void {
    if (!isTorn) return;
    try {
      ftruncateSync(file, size);
      isTorn = false;
    } catch {
      // The next line or the next start tries again.
    }
  }

  /** Where it fails the old file goes on, beyond its size: a long log is better than none. */
  function rotate(): void {
    try {
      const next = replace(path, clock.now());
      closeSync(file);
      file = next;
      size = 0;
      isTorn = false;
      isStuck = false;
      tidying = tidying.then(tidy);
    } catch (error) {
      if (!isStuck) {
        logger.warn("a full log file is not put aside and grows on", { path, error: getErrorMessage(error) });
      }
      isStuck = true;
    }
  }

  async function tidy(): Promise<void> {
    try {
      const folder = dirname(path);
      const plan = planRotation(basename(path), await readdir(folder), options, clock.now());
      for (const name of plan.remove) await rm(join(folder, name), { force: true });
      for (const name of plan.compress) await compress(join(folder, name));
    } catch (error) {
      logger.warn("old log files are not tidied", { path, error });
    }
  }

  return {
    append(line) {
      mend();
      if (size > 0 && size + Buffer.byteLength(line) + 1 > maxBytes) rotate();
      const bytes = Buffer.from(isTorn ? `\n${line}\n` : `${line}\n`, "utf8");
      let done = 0;
      try {
        while (done < bytes.length) done += writeSync(file, bytes, done);
      } catch (error) {
        isTorn ||= done > 0;
        mend();
        throw error;
      }
      size = isTorn ? fstatSync(file).size : size + bytes.length;
      isTorn = false;
    },
    async [Symbol.asyncDispose]() {
      await tidying;
      mend();
      closeSync(file);
    },
  };
}

/** A log that may be written and not read is taken as it is. */
function openToAppend(path: string): number {
  try {
    return openSync(path, "a+", PRIVATE);
  } catch (error) {
    if (isDenied(error)) return openSync(path, "a", PRIVATE);
    throw error;
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EACCES" || error.code === "EPERM");
}

/** How much of a file is whole lines; all of one without any, which is hardly a log of ours, or that cannot be read. */
function wholeLines(file: number, size: number): number {
  try {
    return findEnd(file, size);
  } catch {
    return size;
  }
}

function findEnd(file: number, size: number): number {
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - PIECE_BYTES);
    const at = piece.subarray(0, readSync(file, piece, 0, end - start, start)).lastIndexOf(NEWLINE);
    if (at >= 0) return start + at + 1;
    end = start;
  }
  return size;
}

/** Puts the file aside and opens a new one in its place; where that fails everything stays where it was. */
function replace(path: string, now: Date): number {
  const unfinished = `${path}.tmp`;
  const next = openSync(unfinished, "a", PRIVATE);
  try {
    const backup = freeName(path, now);
    const isAside = putAside(path, backup);
    try {
      renameSync(unfinished, path);
    } catch (error) {
      if (isAside) renameSync(backup, path);
      throw error;
    }
    return next;
  } catch (error) {
    closeSync(next);
    throw error;
  }
}

function freeName(path: string, now: Date): string {
  let at = now;
  while (existsSync(join(dirname(path), backupName(path, at)))) at = new Date(at.getTime() + 1);
  return join(dirname(path), backupName(path, at));
}

/** False where somebody has taken the file away already. */
function putAside(path: string, backup: string): boolean {
  try {
    renameSync(path, backup);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

/** What a killed run leaves half done is done again: only a whole file gets the name. */
async function compress(path: string): Promise<void> {
  const unfinished = `${path}.gz.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(unfinished, { mode: PRIVATE }));
  await rename(unfinished, `${path}.gz`);
  await rm(path, { force: true });
}
