/**
 * `deno task build`: builds tlsboot as one file for each target, `dist/tlsboot-<version>-<target>`, and
 * `dist/SHA256SUMS`. It needs only npm packages: the sources are bundled, and the bundle is put into a Node of the target.
 *
 * Usage: build.ts [--target host|all|NAME] [--out FOLDER]
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { TLSBOOT_VERSION } from "../core/version.ts";
import { start } from "../tests/support/child.ts";
import { toCodeCacheName } from "./build/assets.ts";
import { bundle, bundleScript, findAssets, writeBundle } from "./build/bundle.ts";
import {
  ensureNode,
  findTargets,
  hostPlatform,
  type Platform,
  toFileName,
  YOUNG_GENERATION_FLAG,
} from "./build/node_runtime.ts";
import { formatChecksums } from "./package/released_files.ts";
import { runQuietly, runScript } from "./processes.ts";
import { Buffer } from "node:buffer";
import { createReadStream, createWriteStream } from "node:fs";
import { createRequire } from "node:module";
import { pipeline } from "node:stream/promises";

async function main(): Promise<readonly string[]> {
  const { values } = parseArgs({
    options: { target: { type: "string", default: "host" }, out: { type: "string", default: "dist" } },
  });
  return await buildReleasedFiles(findTargets(values.target), values.out);
}

/** Builds the files of some targets and their checksums into a folder, and returns the paths of the files. */
export async function buildReleasedFiles(targets: readonly Platform[], out: string): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-build-"));
  try {
    await mkdir(out, { recursive: true });
    return await buildAll(targets, folder, out);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildAll(targets: readonly Platform[], folder: string, out: string): Promise<readonly string[]> {
  const bundled = await bundle();
  const [program, scripts, loader, empty] = ["program", "scripts", "loader.cjs", "empty"].map((name) =>
    join(folder, name)
  ) as [string, string, string, string];
  await mkdir(program);
  await mkdir(scripts);
  const assetSources = findAssets(bundled);
  for (const [name, source] of assetSources) await writeFile(join(scripts, name), source);
  await writeFile(loader, await bundleScript(join("scripts", "build", "loader.ts")));
  await writeFile(empty, "");
  if (targets.some(canHaveCodeCache)) {
    await writeCodeCaches(await writeBundle(bundled, program), scripts, join(folder, "data"));
  }
  const cacheFiles = new Set(await readdir(scripts));
  const files: string[] = [];
  for (const target of targets) {
    const hasCache = (name: string) => canHaveCodeCache(target) && cacheFiles.has(toCodeCacheName(name));
    const assets = Object.fromEntries([...assetSources.keys()].flatMap((name) => [
      [name, join(scripts, name)],
      [toCodeCacheName(name), hasCache(name) ? join(scripts, toCodeCacheName(name)) : empty],
    ]));
    const file = join(out, toFileName(target, TLSBOOT_VERSION));
    await writeExecutable(target, { loader, assets }, folder, file);
    files.push(file);
  }
  await writeFile(join(out, "SHA256SUMS"), await formatChecksums(out, files.map((file) => basename(file))));
  return files;
}

/**
 * Reports whether V8's code caches can be made for a target. V8 accepts only those of its own version and processor.
 */
function canHaveCodeCache(target: Platform): boolean {
  return target === hostPlatform();
}

/**
 * Makes V8 write the same bytes for the same scripts: the seed of its hash tables, which determines their order in a
 * cache, is fixed, and nothing runs on other threads. V8 accepts such a cache without the flag too, because the seed is
 * not in it.
 */
const DETERMINISTIC = "--predictable";

/**
 * Writes code caches next to the wrapped scripts in a folder, with the functions of interactive commands. Servers are
 * left out, because every start reads all caches of its scripts. `program` is the bundle on disk.
 */
async function writeCodeCaches(program: string, scripts: string, data: string): Promise<void> {
  const node = await ensureNode();
  await using server = start(node, [program, "up", "--data-dir", data, "--secure-port", "0"]);
  await server.waitFor(/is up at https:\/\//);
  const commands = [["version"], ["--help"], ["get", "csr", "--data-dir", data]];
  const stdin = commands.map((words) => JSON.stringify(words)).join("\n");
  const warmUp = join(process.cwd(), "scripts", "build", "warm_up.ts");
  await runQuietly(node, [DETERMINISTIC, warmUp, scripts], { stdin });
}

/** The resource in which Node looks for its program, and the fuse that marks its presence (`src/node_sea.cc`). */
const RESOURCE = "NODE_SEA_BLOB";
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

export interface Parts {
  /** The script that starts the bundle. */
  readonly loader: string;
  /** The path of each asset's file, by the asset's name. */
  readonly assets: Readonly<Record<string, string>>;
}

/** Writes the executable of a target, with intermediate files in `folder`. */
export async function writeExecutable(target: Platform, parts: Parts, folder: string, file: string): Promise<void> {
  const blob = await writeBlob(target, parts, folder);
  const executable = join(folder, target);
  await writeFile(executable, stripElf(await readFile(await ensureNode(target))));
  await runQuietly(await ensureNode(), [
    join(dirname(createRequire(import.meta.url).resolve("postject")), "cli.js"),
    ...[executable, RESOURCE, blob, "--sentinel-fuse", FUSE],
  ]);
  await copyInPieces(executable, file);
  await chmod(file, 0o755);
}

/**
 * Copies a file in pieces of 64 kB, as a download or a package manager writes it. Linux caches and maps larger pieces
 * as they were written until the file is read from the disk again: a process would map up to 30 MB more, which a
 * measurement right after the build would count.
 */
async function copyInPieces(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createWriteStream(to));
}

/**
 * Writes the blob with the host's Node, because its format depends on the version of Node. The blob contains the path
 * of the loader, which is relative so that it is the same in every build.
 */
async function writeBlob(target: Platform, parts: Parts, folder: string): Promise<string> {
  const [config, output] = [join(folder, `${target}.json`), join(folder, `${target}.blob`)];
  await writeFile(
    config,
    JSON.stringify({
      main: relative(folder, parts.loader),
      output,
      disableExperimentalSEAWarning: true,
      useCodeCache: false,
      // NODE_OPTIONS is meant for other programs and must not change the runtime. With OpenSSL's roots as the default,
      // Node does not parse its own 150 certificates when TLS is loaded; the client always passes the CAs that it
      // trusts. DEP0123 warns about etcd members with IP addresses, which are fine.
      execArgv: [
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=DEP0123",
        "--use-openssl-ca",
        YOUNG_GENERATION_FLAG,
      ],
      execArgvExtension: "none",
      assets: parts.assets,
    }),
  );
  await runQuietly(await ensureNode(), ["--experimental-sea-config", config], { cwd: folder });
  return output;
}

// The ELF-64 object file format (gABI chapters 4 and 5), little-endian.
const SECTION_HEADER_BYTES = 64;
const SHT_NOBITS = 8;
const SHF_ALLOC = 2n;

/** The offsets of fields in the file's header. */
const FILE = { sectionsAt: 0x28, sectionCount: 0x3c, namesIndex: 0x3e } as const;

/** The offsets of fields in a section's header. */
const SECTION = { type: 0x04, flags: 0x08, offset: 0x18, size: 0x20, link: 0x28 } as const;

/**
 * Removes symbols and debugging information from an executable, as `strip` does, but for any processor and without
 * binutils. The removed sections come after those that are loaded, so no code moves.
 */
export function stripElf(elf: Uint8Array): Buffer {
  const file = Buffer.from(elf);
  if (file.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") throw new Error("want a 64-bit little-endian ELF file");
  const headers = readSectionHeaders(file);
  const namesIndex = file.readUInt16LE(FILE.namesIndex);
  const kept = headers.flatMap((header, index) =>
    index === 0 || index === namesIndex || isLoaded(header) ? [{ header, index }] : []
  );
  const newIndices = new Map(kept.map(({ index }, position) => [index, position]));

  const names = readSection(file, headers[namesIndex]);
  const namesAt = Math.max(...headers.filter(isLoaded).map(readEnd));
  const sectionsAt = Math.ceil((namesAt + names.length) / 8) * 8;
  const newHeaders = kept.map(({ header, index }) => {
    const moved = Buffer.from(header);
    moved.writeUInt32LE(newIndices.get(header.readUInt32LE(SECTION.link)) ?? 0, SECTION.link);
    if (index === namesIndex) moved.writeBigUInt64LE(BigInt(namesAt), SECTION.offset);
    return moved;
  });

  const stripped = Buffer.alloc(sectionsAt + kept.length * SECTION_HEADER_BYTES);
  file.copy(stripped, 0, 0, namesAt);
  names.copy(stripped, namesAt);
  Buffer.concat(newHeaders).copy(stripped, sectionsAt);
  stripped.writeBigUInt64LE(BigInt(sectionsAt), FILE.sectionsAt);
  stripped.writeUInt16LE(kept.length, FILE.sectionCount);
  stripped.writeUInt16LE(newIndices.get(namesIndex) ?? 0, FILE.namesIndex);
  return stripped;
}

function readSectionHeaders(file: Buffer): readonly Buffer[] {
  const start = Number(file.readBigUInt64LE(FILE.sectionsAt));
  return Array.from(
    { length: file.readUInt16LE(FILE.sectionCount) },
    (_, index) => file.subarray(start + index * SECTION_HEADER_BYTES, start + (index + 1) * SECTION_HEADER_BYTES),
  );
}

function isLoaded(header: Buffer): boolean {
  return (header.readBigUInt64LE(SECTION.flags) & SHF_ALLOC) !== 0n;
}

function readEnd(header: Buffer): number {
  // Sections that the loader fills with zeros take no space in the file.
  const size = header.readUInt32LE(SECTION.type) === SHT_NOBITS ? 0 : Number(header.readBigUInt64LE(SECTION.size));
  return Number(header.readBigUInt64LE(SECTION.offset)) + size;
}

function readSection(file: Buffer, header: Buffer | undefined): Buffer {
  if (header === undefined) throw new Error("the ELF file has no section names");
  return file.subarray(Number(header.readBigUInt64LE(SECTION.offset)), readEnd(header));
}

runScript(import.meta, main);
