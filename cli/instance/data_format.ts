/**
 * The format of a data directory, a number in its file `format`: the layout and the content of its files. The database
 * has its own number (`server/storage`). A build opens the format of every earlier build and refuses a later one
 * (docs/decisions/0015-data-format.md).
 */
import { join } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import { PUBLIC_MODE } from "./data_dir.ts";

/** The format that this build writes. */
export const DATA_FORMAT = 1;

/** Refuses a data directory of a newer build, without changing it. AppError `format_unknown`. */
export async function assertKnownFormat(root: string, files: Pick<FilePort, "readText">): Promise<void> {
  await readFormat(root, files);
}

/** Like `assertKnownFormat`, but writes a missing number: the directory is new, or older than the number. */
export async function ensureFormat(root: string, files: Pick<FilePort, "readText" | "writeAtomic">): Promise<void> {
  if (await readFormat(root, files) === undefined) {
    await files.writeAtomic(formatPath(root), `${DATA_FORMAT}\n`, PUBLIC_MODE);
  }
}

/** Reads the number; undefined when there is none. */
async function readFormat(root: string, files: Pick<FilePort, "readText">): Promise<number | undefined> {
  const text = (await files.readText(formatPath(root)))?.trim();
  if (text === undefined) return undefined;
  if (/^[1-9]\d*$/.test(text)) {
    const format = Number(text);
    if (format <= DATA_FORMAT) return format;
    throw new AppError(
      "format_unknown",
      `cannot use data directory "${root}": it has format ${format}, this program knows ${DATA_FORMAT}`,
      { hint: "use the newer tlsboot that wrote it, or another --data-dir" },
    );
  }
  throw new AppError("format_unknown", `cannot use data directory "${root}": its file "format" holds no number`, {
    hint: `write ${DATA_FORMAT} into it if this tlsboot made the folder, or choose another --data-dir`,
  });
}

function formatPath(root: string): string {
  return join(root, "format");
}
