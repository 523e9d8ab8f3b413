/** What turns red, or is told, before a disk is full, so that somebody can look while nothing fails yet. */
import { statfs } from "node:fs/promises";
import { getErrorMessage } from "../../core/errors.ts";
import type { Logger } from "../../core/ports.ts";
import type { HealthCheck } from "../../server/http/health.ts";

const MEGABYTE = 1_048_576;

/** Somewhere on a disk that the instance writes to. */
export interface DiskPlace {
  readonly path: string;
  /** What is kept there, in words: `data directory`. */
  readonly what: string;
}

/** Bytes that the disk of a path has left for an ordinary user. */
export async function readFreeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** `/readyz/storage-space`: red when one of the disks has less than so many megabytes left; with 0 never. */
export function createStorageSpaceCheck(places: readonly DiskPlace[], minFreeMegabytes: number): HealthCheck {
  return {
    name: "storage-space",
    readyOnly: true,
    async check() {
      if (minFreeMegabytes === 0) return;
      for (const { path, what } of places) {
        const left = megabytes(await readFreeBytes(path));
        if (left < minFreeMegabytes) {
          throw new Error(`the disk of the ${what} has ${Math.floor(left)} MB left, less than ${minFreeMegabytes}`);
        }
      }
    },
  };
}

/** Tells in the log when a disk comes to have less than so many megabytes left, and when it has them again. */
export function createSpaceWatch(
  places: readonly DiskPlace[],
  minFreeMegabytes: number,
  { logger, free = readFreeBytes }: { readonly logger: Logger; readonly free?: (path: string) => Promise<number> },
): () => Promise<void> {
  const low = new Set<DiskPlace>();
  return async () => {
    for (const place of places) {
      const { path, what } = place;
      try {
        const left = megabytes(await free(path));
        if (left < minFreeMegabytes === low.has(place)) continue;
        const fields = { what, path, megabytes: Math.floor(left) };
        if (low.delete(place)) logger.info("a disk has space again", fields);
        else {
          low.add(place);
          logger.warn("a disk is almost full", fields);
        }
      } catch (error) {
        logger.warn("what a disk has left cannot be told", { what, path, error: getErrorMessage(error) });
      }
    }
  };
}

function megabytes(bytes: number): number {
  return bytes / MEGABYTE;
}
