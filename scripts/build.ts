/**
 * `deno task build`: tlsboot as one file for each target, `dist/tlsboot-<version>-<target>`, and `dist/SHA256SUMS`. Made
 * from npm packages alone: the sources are bundled, and the bundle is put into a Node of the target.
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

/** Builds the files of some targets into a folder, with their hashes; returns their paths. */
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
  const made = await bundle();
  const [program, scripts, loader, nothing] = ["program", "scripts", "loader.cjs", "nothing"].map((name) =>
    join(folder, name)
  ) as [string, string, string, string];
  await mkdir(program);
  await mkdir(scripts);
  const carried = findAssets(made);
  for (const [name, source] of carried) await writeFile(join(scripts, name), source);
  await writeFile(loader, await bundleScript(join("scripts", "build", "loader.ts")));
  await writeFile(nothing, "");
  if (targets.some(canHaveCodeCache)) {
    await writeCodeCaches(await writeBundle(made, program), scripts, join(folder, "data"));
  }
  const cacheFiles = new Set(await readdir(scripts));
  const files: string[] = [];
  for (const target of targets) {
    const hasCache = (name: string) => canHaveCodeCache(target) && cacheFiles.has(toCodeCacheName(name));
    const assets = Object.fromEntries([...carried.keys()].flatMap((name) => [
      [name, join(scripts, name)],
      [toCodeCacheName(name), hasCache(name) ? join(scripts, toCodeCacheName(name)) : nothing],
    ]));
    const file = join(out, toFileName(target, TLSBOOT_VERSION));
    await writeExecutable(target, { loader, assets }, folder, file);
    files.push(file);
  }
  await writeFile(join(out, "SHA256SUMS"), await formatChecksums(out, files.map((file) => basename(file))));
  return files;
}

/** Reports whether V8's code caches can be made for a target: V8 takes them from its own version and processor only. */
function canHaveCodeCache(target: Platform): boolean {
  return target === hostPlatform();
}

/**
 * With this flag V8 makes the same bytes from the same scripts each time: the seed of its hash tables, which decides their
 * order in a cache, is fixed, and nothing runs on other threads. The seed itself is not in a cache, and V8 also accepts the
 * cache without the flag.
 */
const SAME_EACH_TIME = "--predictable";

/**
 * Makes code caches next to the wrapped scripts in a folder, with the functions of commands for which a person waits.
 * Servers are not among them, because every start reads all caches of its scripts. The program is the bundle, as Node runs
 * it.
 */
async function writeCodeCaches(program: string, scripts: string, data: string): Promise<void> {
  const node = await ensureNode();
  await using server = start(node, [program, "up", "--data-dir", data, "--secure-port", "0"]);
  await server.waitFor(/is up at https:\/\//);
  const commands = [["version"], ["--help"], ["get", "csr", "--data-dir", data]];
  const stdin = commands.map((words) => JSON.stringify(words)).join("\n");
  const warmUp = join(process.cwd(), "scripts", "build", "warm_up.ts");
  await runQuietly(node, [SAME_EACH_TIME, warmUp, scripts], { stdin });
}

/** The resource in which Node looks for its program, and the fuse that says that there is one (`src/node_sea.cc`). */
const RESOURCE = "NODE_SEA_BLOB";
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

export interface Parts {
  /** The script that starts the bundle. */
  readonly loader: string;
  /** The assets by name, with the files that hold them. */
  readonly assets: Readonly<Record<string, string>>;
}

/** Writes the executable of a target; intermediate files go to a folder. */
export async function writeExecutable(target: Platform, parts: Parts, folder: string, file: string): Promise<void> {
  const blob = await writeBlob(target, parts, folder);
  const made = join(folder, target);
  await writeFile(made, stripElf(await readFile(await ensureNode(target))));
  await runQuietly(await ensureNode(), [
    join(dirname(createRequire(import.meta.url).resolve("postject")), "cli.js"),
    ...[made, RESOURCE, blob, "--sentinel-fuse", FUSE],
  ]);
  await copyInPieces(made, file);
  await chmod(file, 0o755);
}

/**
 * Copies a file in pieces of 64 kB, as a download or a package manager writes it. Linux keeps and maps larger pieces as
 * they were written until the file is read from the disk again: a process would map up to 30 MB more of the file, and a
 * measurement right after the build would count that.
 */
async function copyInPieces(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createWriteStream(to));
}

/**
 * The form of the blob depends on the version of Node, so the host's Node of that version writes it. The blob has the path
 * of the loader as it is given here: relative to the folder, the path is the same in every build.
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
      // The user's environment must not change the runtime: NODE_OPTIONS is for other programs. With another list of
      // roots as its default, Node does not parse its own 150 certificates whenever TLS is loaded; the client always
      // names the CAs that it trusts. DEP0123 warns about etcd members that are named by an IP address, which is fine.
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
 * binutils. The removed sections lie behind those that are loaded, so nothing that runs moves.
 */
export function stripElf(elf: Uint8Array): Buffer {
  const file = Buffer.from(elf);
  if (file.toString("latin1", 0, 6) !== "\x7fELF\x02\x01") throw new Error("want a 64-bit little-endian ELF file");
  const headers = readSectionHeaders(file);
  const namesIndex = file.readUInt16LE(FILE.namesIndex);
  const kept = headers.flatMap((header, index) =>
    index === 0 || index === namesIndex || isLoaded(header) ? [{ header, index }] : []
  );
  const newIndexOf = new Map(kept.map(({ index }, position) => [index, position]));

  const names = readSection(file, headers[namesIndex]);
  const namesAt = Math.max(...headers.filter(isLoaded).map(readEnd));
  const sectionsAt = Math.ceil((namesAt + names.length) / 8) * 8;
  const newHeaders = kept.map(({ header, index }) => {
    const moved = Buffer.from(header);
    moved.writeUInt32LE(newIndexOf.get(header.readUInt32LE(SECTION.link)) ?? 0, SECTION.link);
    if (index === namesIndex) moved.writeBigUInt64LE(BigInt(namesAt), SECTION.offset);
    return moved;
  });

  const stripped = Buffer.alloc(sectionsAt + kept.length * SECTION_HEADER_BYTES);
  file.copy(stripped, 0, 0, namesAt);
  names.copy(stripped, namesAt);
  Buffer.concat(newHeaders).copy(stripped, sectionsAt);
  stripped.writeBigUInt64LE(BigInt(sectionsAt), FILE.sectionsAt);
  stripped.writeUInt16LE(kept.length, FILE.sectionCount);
  stripped.writeUInt16LE(newIndexOf.get(namesIndex) ?? 0, FILE.namesIndex);
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
  // Zeros that are created when the program starts are not in the file.
  const size = header.readUInt32LE(SECTION.type) === SHT_NOBITS ? 0 : Number(header.readBigUInt64LE(SECTION.size));
  return Number(header.readBigUInt64LE(SECTION.offset)) + size;
}

function readSection(file: Buffer, header: Buffer | undefined): Buffer {
  if (header === undefined) throw new Error("the ELF file has no names of sections");
  return file.subarray(Number(header.readBigUInt64LE(SECTION.offset)), readEnd(header));
}

runScript(import.meta, main);
