/** Files that a flag names, and that must be there. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";

/** Where a flag's path starts, and what reads it. */
export interface FilePlace {
  readonly files: Pick<FilePort, "readText">;
  readonly cwd: string;
}

/** The text of a file. AppError `io` where there is none. */
export async function readRequiredFile(path: string, { files, cwd }: FilePlace): Promise<string> {
  const text = await files.readText(resolve(cwd, path));
  if (text !== undefined) return text;
  throw new AppError("io", `cannot read "${path}": no such file`, { hint: "check the path" });
}
