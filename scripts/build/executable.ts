/** The released file of one target: a Node with the bundle in it. */
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { runQuietly } from "../processes.ts";
import { ensureNode, type Platform, YOUNG_GENERATION_FLAG } from "./node_runtime.ts";
import { stripElf } from "./strip_elf.ts";

/** Where Node looks for what it runs, and what says that there is something (`src/node_sea.cc`). */
const RESOURCE = "NODE_SEA_BLOB";
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

export interface Parts {
  /** The script that starts the bundle. */
  readonly loader: string;
  /** The assets by name, with the files that hold them. */
  readonly assets: Readonly<Record<string, string>>;
}

/** Writes the executable of a target; what is made on the way goes to a folder. */
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
