/** The sources as JavaScript modules with declarations, made by TypeScript: what an installed package has to be on Node. */
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import ts from "typescript";

/** Text by path from the root of the checkout, with slashes. */
export type CompiledFiles = ReadonlyMap<string, string>;

/** Compiles entries with everything that they import. Throws what TypeScript has against it. */
export async function compile(root: string, entries: readonly string[]): Promise<CompiledFiles> {
  const { options, errors } = ts.convertCompilerOptionsFromJson({
    ...JSON.parse(await readFile(join(root, "deno.json"), "utf8")).compilerOptions,
    // Node 24 knows the language as it stands in the sources, so only types go.
    target: "ESNext",
    module: "ESNext",
    moduleResolution: "Bundler",
    // Request and Response with their parts, which Node and Deno have too.
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

/** TypeScript rewrites the imports of modules only; those of declarations name files that a package does not have. */
export function withJsImports(declarations: string): string {
  return declarations.replaceAll(/(\bfrom |\bimport\()"(\.{1,2}\/[^"]+)\.tsx?"/g, '$1"$2.js"');
}

function describe(root: string, faults: readonly ts.Diagnostic[]): string {
  return ts.formatDiagnostics(faults, {
    getCurrentDirectory: () => root,
    getCanonicalFileName: (name) => name,
    getNewLine: () => "\n",
  });
}
