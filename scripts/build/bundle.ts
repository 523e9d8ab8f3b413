/**
 * `deno task bundle` checks that the program runs as a bundle.
 *
 * A bundle is `cli/run.ts` and everything that it imports, as a few CommonJS scripts: the entry, and those that
 * commands load when they run. The same sources and lock file give the same bytes in any folder.
 */
import { build, type BuildOptions, type Metafile, type Plugin, transform, type TransformOptions } from "esbuild";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { deflateRawSync } from "node:zlib";
import type { BuildCommit } from "../../core/version.ts";
import { mustRun, runScript } from "../processes.ts";
import { ENTRY, packScripts } from "./assets.ts";
import { readBuildFacts } from "./facts.ts";
import { ensureNode } from "./node_runtime.ts";

/** The scripts of a bundle, and a report of their sources. */
interface Bundle {
  /** The name of the entry script. */
  readonly entry: string;
  /** The code of each script by name. It is ASCII, so that Node stores one byte per character. */
  readonly scripts: ReadonlyMap<string, string>;
  /** esbuild's report of the sources and their sizes. */
  readonly metafile: Metafile;
}

/** The esbuild options that scripts and the loader share. */
const FORM = {
  target: "node24",
  // Node 24 has `using`. esbuild's replacement throws the error of an earlier loop iteration again.
  supported: { using: true },
  // `tlsboot version --licenses` prints the licences.
  legalComments: "none",
  charset: "ascii",
  logLevel: "warning",
  // As in deno.json, which esbuild does not read.
  jsx: "automatic",
  jsxImportSource: "hono/jsx",
} as const satisfies TransformOptions & BuildOptions;

/**
 * Compresses the modules that contain only texts (guides and licences, some 400 kB), because few commands print them
 * and the executable is near its size limit.
 */
const PACKED_TEXTS: Plugin = {
  name: "packed texts",
  setup(builder) {
    builder.onLoad({ filter: /_texts\.ts$/ }, async ({ path }) => {
      const texts: Readonly<Record<string, unknown>> = await import(pathToFileURL(path).href);
      const packed = deflateRawSync(JSON.stringify(texts), { level: 9 }).toString("base64");
      const lines = [
        'import { Buffer } from "node:buffer";',
        'import { inflateRawSync } from "node:zlib";',
        `const texts = JSON.parse(inflateRawSync(Buffer.from("${packed}", "base64")).toString());`,
        ...Object.keys(texts).map((name) => `export const ${name} = texts.${name};`),
      ];
      return { contents: lines.join("\n"), loader: "js" };
    });
  },
};

/** esbuild splits ECMAScript modules only. */
const SPLIT = {
  ...FORM,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  outdir: "dist",
  write: false,
  metafile: true,
  plugins: [PACKED_TEXTS],
} satisfies BuildOptions;

const TO_COMMON_JS = {
  ...FORM,
  format: "cjs",
  platform: "neutral",
  // There is no file to import in a single executable.
  supported: { ...FORM.supported, "dynamic-import": false },
  // Identifiers are kept, because stack traces show the names of classes and functions.
  minifyWhitespace: true,
  minifySyntax: true,
} as const satisfies TransformOptions;

/** The source of the entry. It replaces `cli/main.ts`, because the executable has its own Node and code caches. */
const START = `import process from "node:process";
import { runProcess } from "./cli/run.ts";
runProcess(process);
`;

/** Bundles the checkout in a folder. `facts` become part of the program; `plugins` change sources for tests. */
export async function bundle(
  root: string = process.cwd(),
  facts: BuildCommit = readBuildFacts(root),
  plugins: readonly Plugin[] = [],
): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    ...SPLIT,
    plugins: [...SPLIT.plugins, ...plugins],
    absWorkingDir: root,
    stdin: { contents: START, resolveDir: root },
    entryNames: basename(ENTRY, ".js"),
    define: { TLSBOOT_BUILD: JSON.stringify(JSON.stringify(facts)) },
  });
  const scripts = await Promise.all(outputFiles.map(async ({ path, text }) => {
    const name = basename(path);
    const { code } = await transform(text, TO_COMMON_JS);
    const foreign = /[^\0-\x7f]/.exec(code);
    if (foreign !== null) throw new Error(`${name} of the bundle has a non-ASCII character at ${foreign.index}`);
    return [name, code] as const;
  }));
  return { entry: ENTRY, scripts: new Map(scripts), metafile };
}

/**
 * The command that users run most often. It needs some fifty scripts, most of which every client of the API needs.
 * Loading them one by one would take a tenth more time.
 */
const PACKED_COMMAND = "cli/commands/csr/get.ts";

/** Groups the scripts into assets: those of every start, those of `get csr`, and each other script in its own. */
export function findAssets({ entry, scripts, metafile }: Bundle): ReadonlyMap<string, string> {
  const read = (names: Iterable<string>) => [...names].map((name) => [name, scripts.get(name) ?? ""] as const);
  const start = findAllNeeds(metafile, entry);
  const command = findScript(metafile, PACKED_COMMAND);
  const packed = findAllNeeds(metafile, command).difference(start);
  const others = [...scripts.keys()].filter((name) => !start.has(name) && !packed.has(name));
  return new Map([
    [entry, packScripts(read(start), [...packed].map((name) => [name, command]))],
    [command, packScripts(read(packed))],
    ...others.map((name) => [name, packScripts(read([name]))] as const),
  ]);
}

/** Finds the script whose entry point is a source file. */
function findScript({ outputs }: Metafile, source: string): string {
  const found = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === source)?.[0];
  if (found === undefined) throw new Error(`no script of the bundle begins with ${source}`);
  return basename(found);
}

/** Finds a script and all scripts that it imports statically, itself first. */
function findAllNeeds(metafile: Metafile, script: string): ReadonlySet<string> {
  const found = new Set([script]);
  for (const name of found) findNeeds(metafile, name).forEach((need) => found.add(need));
  return found;
}

/** Lists the scripts that a script itself imports statically. */
export function findNeeds({ outputs }: Metafile, script: string): readonly string[] {
  const output = Object.entries(outputs).find(([path]) => basename(path) === script)?.[1];
  return (output?.imports ?? [])
    .filter(({ kind, external }) => kind === "import-statement" && external !== true)
    .map(({ path }) => basename(path));
}

/** Writes a bundle to a folder so that Node can run it, and returns the path of its entry. */
export async function writeBundle({ entry, scripts }: Bundle, folder: string): Promise<string> {
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "commonjs" }));
  for (const [name, code] of scripts) await writeFile(join(folder, name), code);
  return join(folder, entry);
}

/** Bundles one script of the build as CommonJS. */
export async function bundleScript(path: string): Promise<string> {
  const { outputFiles: [output] } = await build({
    ...FORM,
    bundle: true,
    format: "cjs",
    platform: "node",
    write: false,
    entryPoints: [path],
  });
  if (output === undefined) throw new Error(`esbuild produced no output for ${path}`);
  return output.text;
}

/** Runs the bundle on Node, which fails if a source uses top-level await, `import.meta` or a file next to it. */
async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-bundle-"));
  try {
    await mustRun(await ensureNode(), [await writeBundle(await bundle(), folder), "version"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

runScript(import.meta, main);
