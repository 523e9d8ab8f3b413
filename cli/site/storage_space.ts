/** The health check that turns red before a disk is full, so that somebody can look while nothing fails yet. */
import { statfs } from "node:fs/promises";
import type { HealthCheck } from "../../server/http/health.ts";

const MEGABYTE = 1_048_576;

/** Bytes that the disk of a path has left for an ordinary user. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** `/readyz/storage-space`: red with less than so many megabytes left; 0 never is. */
export function storageSpaceCheck(path: string, minFreeMegabytes: number): HealthCheck {
  return {
    name: "storage-space",
    readyOnly: true,
    async check() {
      if (minFreeMegabytes === 0) return;
      const free = await freeBytes(path);
      if (free >= minFreeMegabytes * MEGABYTE) return;
      const left = Math.floor(free / MEGABYTE);
      throw new Error(`the disk of the data directory has ${left} MB left, less than ${minFreeMegabytes}`);
    },
  };
}
