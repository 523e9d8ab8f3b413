/** Puts a folder that was made in the place of another one: all of it, or what was there stays. */
import { rename } from "node:fs/promises";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { toIoError } from "./write.ts";

/** The folders of a swap. */
export interface Swap {
  /** What is made. */
  readonly staging: string;
  /** Its place. */
  readonly root: string;
  /** Where what is in its place goes; undefined where nothing is. */
  readonly replaced: string | undefined;
}

/** Swaps. AppError `io`: then everything is where it was, or the error says where. */
export async function swapFolders({ staging, root, replaced }: Swap, move = rename): Promise<void> {
  if (replaced !== undefined) await move(root, replaced);
  try {
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
        hint: `what was there is in "${replaced}": move it back by hand`,
      },
    );
  }
}
