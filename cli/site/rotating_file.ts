/**
 * A log file that is put aside when it is full. A line is in it whole or not at all; what is put aside may be compressed,
 * and goes when it is too old or there are too many.
 */
import { Buffer } from "node:buffer";
import { closeSync, createReadStream, createWriteStream, existsSync, fstatSync, ftruncateSync } from "node:fs";
import { mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Clock, Logger } from "../../core/ports.ts";
import { backupName, planRotation, type Retention } from "./rotated_files.ts";

/** How a log file rotates. */
export interface RotatingFileOptions extends Retention {
  readonly path: string;
  readonly maxBytes: number;
}

/** An open log file. Disposing it waits for what is being compressed. */
export interface RotatingFile extends AsyncDisposable {
  /** Appends a line, which is then with the operating system. Throws the system's error; nothing of the line is left then. */
  append(line: string): void;
}

const PRIVATE = 0o600;

/** Opens the file to append to it; its folder (0700) and itself (0600) are made when missing. Throws the system's error. */
export function openRotatingFile(
  options: RotatingFileOptions,
  { clock, logger }: { readonly clock: Pick<Clock, "now">; readonly logger: Logger },
): RotatingFile {
  const { path, maxBytes } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let file = openSync(path, "a", PRIVATE);
  let size = fstatSync(file).size;
  let tidying = tidy();

  function rotate(): void {
    let at = clock.now();
    while (existsSync(join(dirname(path), backupName(path, at)))) at = new Date(at.getTime() + 1);
    renameSync(path, join(dirname(path), backupName(path, at)));
    // Until the new file is there the old one goes on.
    const next = openSync(path, "a", PRIVATE);
    closeSync(file);
    file = next;
    size = 0;
    tidying = tidying.then(tidy);
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
      const bytes = Buffer.from(`${line}\n`, "utf8");
      if (size > 0 && size + bytes.length > maxBytes) rotate();
      try {
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
      } catch (error) {
        ftruncateSync(file, size);
        throw error;
      }
      size += bytes.length;
    },
    async [Symbol.asyncDispose]() {
      await tidying;
      closeSync(file);
    },
  };
}

/** What a killed run leaves half done is done again: only a whole file gets the name. */
async function compress(path: string): Promise<void> {
  const unfinished = `${path}.gz.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(unfinished, { mode: PRIVATE }));
  await rename(unfinished, `${path}.gz`);
  await rm(path, { force: true });
}
