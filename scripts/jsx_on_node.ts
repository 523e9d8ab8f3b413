/**
 * Lets Node load the sources faster, and load the `.tsx` files of the page: Node strips types, but does not know JSX. Used
 * by `node --import ./scripts/jsx_on_node.ts cli/main.ts ui` and by the tests; the released file and the npm package
 * contain JavaScript. Deno knows JSX.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";

const hooks: Parameters<typeof registerHooks>[0] = {
  // Sources import each other by exact paths and are modules. Node would spend a third of the loading time to find that
  // out.
  resolve(specifier, context, next) {
    if (!/^\.\.?\/.*\.ts$/.test(specifier)) return next(specifier, context);
    const url = new URL(specifier, context.parentURL);
    // For a missing file, Node's error names the file that imports it.
    if (!existsSync(url)) return next(specifier, context);
    return { url: url.href, format: "module-typescript", shortCircuit: true };
  },
  load(url, context, next) {
    if (!url.endsWith(".tsx")) return next(url, context);
    // Loaded only when it is needed, because most runs load no page.
    const { transformSync }: typeof import("esbuild") = createRequire(import.meta.url)("esbuild");
    const { code } = transformSync(readFileSync(fileURLToPath(url), "utf8"), {
      loader: "tsx",
      format: "esm",
      target: "node24",
      jsx: "automatic",
      jsxImportSource: "hono/jsx",
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
      sourcefile: url,
      sourcemap: "inline",
    });
    return { format: "module", source: code, shortCircuit: true };
  },
};

if (process.versions["deno"] === undefined) registerHooks(hooks);
