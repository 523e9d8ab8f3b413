/** The released files that packages and images are made from, their checksums, and reproducible tar archives. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { encodeTarHeader, TAR_BLOCK, TAR_END, tarPadding } from "../../core/lib/tar.ts";

/** Debian's names of the processors, which container images use too. */
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

/** Reads the released files that a folder has. Throws if it has none. */
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

/** Reads the flags from the command line. Throws for a revision that is not a number. */
export function parsePackageFlags(): PackageFlags {
  const { values } = parseArgs({
    options: { dist: { type: "string", default: "dist" }, revision: { type: "string", default: "1" } },
  });
  if (!/^[1-9]\d*$/.test(values.revision)) throw new Error(`--revision: "${values.revision}" found, want a number`);
  return values;
}

/** Returns a line of sha256sum for each of the files of a folder, sorted by name. */
export async function formatChecksums(folder: string, names: readonly string[]): Promise<string> {
  const lines = [...names].sort().map(async (name) => {
    const hash = createHash("sha256");
    await pipeline(createReadStream(join(folder, name)), hash);
    return `${hash.digest("hex")}  ${name}\n`;
  });
  return (await Promise.all(lines)).join("");
}

/** A file, a folder or a link of an archive. */
export interface TarEntry {
  /** The path with slashes. That of a folder ends with a slash. */
  readonly path: string;
  /** The permission bits of the entry, such as 0o644. */
  readonly mode: number;
  /** Absent for folders and links. */
  readonly data?: Uint8Array;
  /** The target of a symbolic link. */
  readonly target?: string;
  /** The id of the user and the group that own the entry. Default: root. */
  readonly owner?: number;
}

/** Archives are padded to twenty blocks (GNU tar's record). */
const RECORD = 20 * TAR_BLOCK;

/** Creates an entry for a file. */
export function toTarFile(path: string, content: string | Uint8Array, mode: number = 0o644): TarEntry {
  return { path, mode, data: typeof content === "string" ? Buffer.from(content) : content };
}

/** Creates an archive with the entries in order, all with the same modification time, in seconds since 1970. */
export function createTar(entries: readonly TarEntry[], modifiedSeconds: number): Buffer {
  const blocks: Uint8Array[] = [];
  for (const { data = new Uint8Array(), ...entry } of entries) {
    blocks.push(encodeTarHeader({ ...entry, size: data.length, modifiedSeconds }), data, tarPadding(data.length));
  }
  const size = blocks.reduce((sum, block) => sum + block.length, TAR_END.length);
  return Buffer.concat([...blocks, TAR_END, tarPadding(size, RECORD)]);
}

/** Returns every folder that contains one of the files, including the root. */
export function findFolders(paths: readonly string[]): readonly TarEntry[] {
  const folders = new Set([""]);
  for (const path of paths) {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, index) => folders.add(`${parts.slice(0, index + 1).join("/")}/`));
  }
  return [...folders].map((path) => ({ path, mode: 0o755 }));
}
