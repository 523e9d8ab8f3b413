/** The checksums of released files, in the format of sha256sum. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Returns a line for each of the files of a folder, in the order of the names. */
export async function formatChecksums(folder: string, names: readonly string[]): Promise<string> {
  const lines = [...names].sort().map(async (name) => {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, name)), hash);
    return `${hash.digest("hex")}  ${name}\n`;
  });
  return (await Promise.all(lines)).join("");
}
