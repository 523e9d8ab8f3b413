/**
 * `deno task pack [--out DIR]`: builds the npm package of the library, `dist/tlsboot-tlsboot-<version>.tgz`, with
 * JavaScript and declarations for each module, and the versions of dependencies in deno.json. The same commit gives the
 * same bytes.
 */
import { Buffer } from "node:buffer";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import ts from "typescript";
import { defineBuild, readBuildFacts } from "../build/facts.ts";
import { importedPackages } from "../licenses.ts";
import { runScript } from "../processes.ts";
import { createTar, type TarEntry } from "./released_files.ts";
import { MIN_NODE_MAJOR } from "../../cli/node.ts";

/** The date that npm itself gives to all packed files. */
const PACKED_AT = Date.parse("1985-10-26T08:15:00Z") / 1000;
/** The program, as `tlsboot` in `node_modules/.bin`. */
const PROGRAM = "cli/main.js";
/** Disables two warnings: `node:sqlite` is a release candidate, and DEP0123 is for etcd members by IP address. */
const SHEBANG = "#!/usr/bin/env -S node --disable-warning=ExperimentalWarning --disable-warning=DEP0123\n";

/** The parts of deno.json that a package repeats. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
}

async function main(): Promise<readonly string[]> {
  const { values } = parseArgs({ options: { out: { type: "string", default: "dist" } } });
  return [await writeNpmPackage(values.out)];
}

/** Writes the package into a folder, and returns its path. */
export async function writeNpmPackage(out: string): Promise<string> {
  const root = process.cwd();
  const manifest: Manifest = JSON.parse(await readFile(join(root, "deno.json"), "utf8"));
  const files = new Map(await compile(root, [...Object.values(manifest.exports), "cli/main.ts"]));
  const prepend = (path: string, text: string): void => void files.set(path, text + files.get(path)!);
  prepend(PROGRAM, SHEBANG);
  prepend("core/version.js", defineBuild(readBuildFacts(root)));
  for (const source of Object.values(manifest.exports)) {
    for (const [path, text] of await nodeEntry(root, source)) files.set(path, text);
  }
  files.set("package.json", packageJson(manifest, await importedPackages(root)));
  for (const source of ["LICENSE", "NOTICE", "packaging/npm/README.md"]) {
    files.set(basename(source), await readFile(join(root, source), "utf8"));
  }
  const entries: readonly TarEntry[] = [...files].map(([path, text]) => ({
    path: `package/${path}`,
    mode: path === PROGRAM ? 0o755 : 0o644,
    data: Buffer.from(text),
  }));
  const target = join(out, `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`);
  await mkdir(out, { recursive: true });
  await writeFile(target, gzipSync(createTar(entries, PACKED_AT), { level: 9 }));
  return target;
}

/**
 * Renders the code that Node loads for an entry. Node parses all imports of an ES module before it runs the first, so
 * an old Node would fail with a SyntaxError inside the package. A CommonJS module therefore checks the version first,
 * and an ES module in front of it exports exactly the entry's names.
 */
async function nodeEntry(root: string, source: string): Promise<readonly (readonly [path: string, text: string])[]> {
  const path = source.replace(/^\.\//, "").replace(/\.ts$/, "");
  const names = Object.keys(await import(pathToFileURL(join(root, source)).href));
  const file = basename(path);
  return [
    [
      `${path}.node.js`,
      `import exported from "./${file}.node.cjs";\nexport const { ${names.join(", ")} } = exported;\n`,
    ],
    [`${path}.node.cjs`, `"use strict";\n${NODE_CHECK}module.exports = require("./${file}.js");\n`],
  ];
}

/** The check of `findNodeFault`, as code for a Node that may not be able to load that module. */
const NODE_CHECK = `if (Number.parseInt(process.versions.node, 10) < ${MIN_NODE_MAJOR}) {
  throw new Error(\`tlsboot needs Node ${MIN_NODE_MAJOR} or newer, and this is Node \${process.versions.node}\`);
}
`;

function packageJson({ name, version, license, exports, imports }: Manifest, packages: readonly string[]): string {
  // The declarations use node: modules.
  const dependencies = [...packages, "@types/node"].sort().map((item) => [item, parseVersion(imports[item]!)]);
  const entries = Object.entries(exports).map(([path, source]) => [path, {
    types: source.replace(/\.ts$/, ".d.ts"),
    // Deno also matches the condition node.
    deno: source.replace(/\.ts$/, ".js"),
    node: source.replace(/\.ts$/, ".node.js"),
    default: source.replace(/\.ts$/, ".js"),
  }]);
  const content = {
    name,
    version,
    description: "Kubernetes TLS bootstrapping from both ends",
    license,
    type: "module",
    engines: { node: `>=${MIN_NODE_MAJOR}` },
    exports: { ...Object.fromEntries(entries), "./package.json": "./package.json" },
    // By the second name, kubectl runs the program as `kubectl tlsboot`.
    bin: { tlsboot: `./${PROGRAM}`, "kubectl-tlsboot": `./${PROGRAM}` },
    sideEffects: [`./${PROGRAM}`],
    dependencies: Object.fromEntries(dependencies),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Returns the version in a specifier: `4.13.19` for `npm:hono@4.13.19`. */
function parseVersion(specifier: string): string {
  return specifier.slice(specifier.lastIndexOf("@") + 1);
}

/** The texts of compiled files by their paths from the root of the checkout, with slashes. */
type CompiledFiles = ReadonlyMap<string, string>;

/**
 * Compiles entries and everything that they import into JavaScript modules with declarations. Throws the errors that
 * TypeScript finds.
 */
async function compile(root: string, entries: readonly string[]): Promise<CompiledFiles> {
  const { options, errors } = ts.convertCompilerOptionsFromJson({
    ...JSON.parse(await readFile(join(root, "deno.json"), "utf8")).compilerOptions,
    // Node 24 supports the syntax of the sources, so only types are removed.
    target: "ESNext",
    module: "ESNext",
    moduleResolution: "Bundler",
    // For Request and Response, which Node and Deno have too.
    lib: ["ESNext", "DOM"],
    types: ["node"],
    rootDir: root,
    outDir: root,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    newLine: "lf",
  }, root);
  const program = ts.createProgram(entries.map((entry) => join(root, entry)), options);
  const files = new Map<string, string>();
  const { diagnostics } = program.emit(undefined, (path, text) => {
    files.set(relative(root, path).replaceAll("\\", "/"), path.endsWith(".d.ts") ? withJsImports(text) : text);
  });
  const faults = [...errors, ...ts.getPreEmitDiagnostics(program), ...diagnostics];
  if (faults.length > 0) throw new Error(describe(root, faults));
  return new Map([...files].sort(([a], [b]) => a < b ? -1 : 1));
}

/** Rewrites the imports of declarations, which TypeScript leaves as they are, to files that the package has. */
function withJsImports(declarations: string): string {
  return declarations.replaceAll(/(\bfrom |\bimport\()"(\.{1,2}\/[^"]+)\.tsx?"/g, '$1"$2.js"');
}

function describe(root: string, faults: readonly ts.Diagnostic[]): string {
  return ts.formatDiagnostics(faults, {
    getCurrentDirectory: () => root,
    getCanonicalFileName: (name) => name,
    getNewLine: () => "\n",
  });
}

runScript(import.meta, main);
