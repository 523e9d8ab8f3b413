/** A small tmpfs that a ballast file fills and frees. */
import { mkdir, open, rm } from "node:fs/promises";
import { runProgram } from "../child.ts";

/** A mounted disk. Disposing unmounts it. */
interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Writes ballast until the disk is full, and returns its size in bytes. */
  fill(): Promise<number>;
  /** Deletes the ballast, which frees space on the disk. */
  free(): Promise<void>;
}

/** Mounts a small disk at a path; needs root. */
export async function mountSmallDisk(path: string, kilobytes: number): Promise<SmallDisk> {
  await mkdir(path);
  const { code, stderr } = await runProgram("mount", [
    ...["-t", "tmpfs", "-o", `size=${kilobytes}k,mode=0700`, "tlsboot-interop", path],
  ]);
  if (code !== 0) throw new Error(`the full disk test mounts a tmpfs and so needs root: ${stderr}`);
  const ballast = `${path}/ballast`;
  return {
    path,
    fill: () => fillWith(ballast),
    free: () => rm(ballast),
    async [Symbol.asyncDispose]() {
      const unmounted = await runProgram("umount", [path]);
      if (unmounted.code !== 0) throw new Error(`cannot unmount ${path}: ${unmounted.stderr}`);
    },
  };
}

async function fillWith(path: string): Promise<number> {
  const file = await open(path, "a");
  const page = new Uint8Array(4096);
  try {
    for (let bytes = 0;; bytes += page.length) {
      try {
        await file.appendFile(page);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOSPC") return bytes;
        throw error;
      }
    }
  } finally {
    await file.close();
  }
}
