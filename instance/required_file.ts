/** Files that a setting names and that must exist. */
import { resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import type { FilePort } from "../client/files.ts";

/** The working directory of the path, and the file access. */
export interface FilePlace {
  readonly files: Pick<FilePort, "readText">;
  readonly cwd: string;
}

/** Reads the text of a file. AppError `io` when it does not exist. */
export async function readRequiredFile(path: string, { files, cwd }: FilePlace): Promise<string> {
  const text = await files.readText(resolve(cwd, path));
  if (text !== undefined) return text;
  throw new AppError("io", `cannot read "${path}": no such file`, { hint: "check the path" });
}
