/** Replaces a folder by another one. If that fails, the old folder is moved back. */
import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../client/files.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { toIoError } from "./write_backup.ts";

/** The paths of the folders of a swap. */
export interface Swap {
  /** The path of the new folder. */
  readonly staging: string;
  /** The final path of the new folder. */
  readonly root: string;
  /** The new path of the old folder; undefined when there is none. */
  readonly replaced: string | undefined;
}

/** The operations of a swap on the disk. */
export interface SwapDisk {
  readonly move: typeof rename;
  readonly sync: typeof syncDirectory;
}

/** Swaps the folders. After AppError `io` both are in their old places, or the error names the new ones. */
export async function swapFolders(
  { staging, root, replaced }: Swap,
  { move, sync }: SwapDisk = { move: rename, sync: syncDirectory },
): Promise<void> {
  if (replaced !== undefined) await move(root, replaced);
  try {
    // A power failure must not lose the new name of the old folder, and keep what takes its place.
    if (replaced !== undefined) await sync(dirname(root));
    await move(staging, root);
  } catch (error) {
    if (replaced !== undefined) await moveBack(replaced, root, error, move);
    throw toIoError(`cannot put "${staging}" in place of "${root}"`, error);
  }
}

async function moveBack(replaced: string, root: string, cause: unknown, move: typeof rename): Promise<void> {
  try {
    await move(replaced, root);
  } catch (error) {
    throw new AppError(
      "io",
      `cannot restore into "${root}": ${getErrorMessage(cause)}; nor move back: ${getErrorMessage(error)}`,
      {
        cause,
        hint: `the old folder is "${replaced}": move it back by hand`,
      },
    );
  }
}
