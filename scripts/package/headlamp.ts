/**
 * `deno task headlamp [--out DIR]`: the plugin for Headlamp, as a folder that Headlamp reads: `main.js`, and a package.json
 * with name and version. The same commit gives the same bytes.
 */
import { build, type Plugin } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

/** The modules that Headlamp itself has; a second React in the page would not work with its components. */
const HEADLAMPS: Readonly<Record<string, string>> = {
  "react": "React",
  "react/jsx-runtime": "ReactJSX",
};

/** The modules of Node that core uses, in a browser. The others are used only by code that the plugin does not run. */
const BROWSERS: Readonly<Record<string, string>> = {
  "node:buffer": "buffer/index.js",
  "node:crypto": "./packaging/headlamp/src/browser/crypto.ts",
  "node:net": "./packaging/headlamp/src/browser/net.ts",
  "node:process": "./packaging/headlamp/src/browser/process.ts",
};

/** Replaces the modules that a browser does not have. Other modules of Node are empty. */
const replaceModules: Plugin = {
  name: "modules of a browser",
  setup(builder) {
    builder.onResolve({ filter: /^(react|react\/jsx-runtime)$/ }, ({ path }) => ({ path, namespace: "headlamp" }));
    builder.onLoad({ filter: /./, namespace: "headlamp" }, ({ path }) => ({
      contents: `module.exports = pluginLib.${HEADLAMPS[path]};`,
      loader: "js",
    }));
    builder.onResolve({ filter: /^node:/ }, async ({ path, resolveDir }) => {
      const other = BROWSERS[path];
      if (other === undefined) return { path, namespace: "missing", sideEffects: false };
      const from = other.startsWith(".") ? builder.initialOptions.absWorkingDir! : resolveDir;
      const found = await builder.resolve(other, { kind: "import-statement", resolveDir: from });
      return { path: found.path, errors: found.errors, sideEffects: false };
    });
    // Code that the plugin does not use imports them.
    builder.onLoad({ filter: /./, namespace: "missing" }, () => ({ contents: "module.exports = {};", loader: "js" }));
  },
};

/** Builds the plugin into a folder, which is made, and returns its path. */
export async function buildHeadlampPlugin(out: string): Promise<string> {
  const root = process.cwd();
  const { version }: { readonly version: string } = JSON.parse(await readFile(join(root, "deno.json"), "utf8"));
  const folder = join(out, "tlsboot");
  await mkdir(folder, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: ["packaging/headlamp/src/main.tsx"],
    outfile: join(folder, "main.js"),
    bundle: true,
    platform: "browser",
    format: "iife",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "react",
    minify: true,
    charset: "ascii",
    legalComments: "inline",
    logLevel: "warning",
    plugins: [replaceModules],
  });
  const manifest = { name: "tlsboot", version, description: "Certificate signing requests in words", main: "main.js" };
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return folder;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: "string", default: "dist/headlamp" } } });
  process.stdout.write(`${await buildHeadlampPlugin(values.out)}\n`);
}

if (import.meta.main) await main();
