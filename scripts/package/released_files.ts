/** The released files, from which packages and images are made, and their checksums. */
import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../../core/version.ts";

/** Debian's names of the processors, which are those of container images too. */
export type LinuxArchitecture = "amd64" | "arm64";

const ARCHITECTURES: readonly (readonly [target: string, architecture: LinuxArchitecture])[] = [
  ["linux-x64", "amd64"],
  ["linux-arm64", "arm64"],
];

/** A released file for a processor. */
export interface LinuxProgram {
  readonly architecture: LinuxArchitecture;
  readonly program: Buffer;
}

/** Reads those of the files that a folder has; throws when it has none. */
export async function readLinuxPrograms(dist: string): Promise<readonly LinuxProgram[]> {
  const found: LinuxProgram[] = [];
  for (const [target, architecture] of ARCHITECTURES) {
    try {
      found.push({ architecture, program: await readFile(join(dist, `tlsboot-${TLSBOOT_VERSION}-${target}`)) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  if (found.length === 0) {
    throw new Error(`no tlsboot-${TLSBOOT_VERSION}-linux-… in ${dist}: run deno task build first`);
  }
  return found;
}

/** The flags of a task that makes packages: the folder of the released files, and the revision of the package. */
export interface PackageFlags {
  readonly dist: string;
  readonly revision: string;
}

/** Reads the flags from the command line; throws for a revision that is not a number. */
export function parsePackageFlags(): PackageFlags {
  const { values } = parseArgs({
    options: { dist: { type: "string", default: "dist" }, revision: { type: "string", default: "1" } },
  });
  if (!/^[1-9]\d*$/.test(values.revision)) throw new Error(`--revision: "${values.revision}" found, want a number`);
  return values;
}

/** Returns a line of sha256sum for each of the files of a folder, in the order of their names. */
export async function formatChecksums(folder: string, names: readonly string[]): Promise<string> {
  const lines = [...names].sort().map(async (name) => {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, name)), hash);
    return `${hash.digest("hex")}  ${name}\n`;
  });
  return (await Promise.all(lines)).join("");
}
