/**
 * Lets Node run the sources quickly, and the `.tsx` files of the page at all: Node strips types, but does not know JSX. Used
 * by `node --import ./scripts/jsx_on_node.ts cli/main.ts ui` and by the tests on Node; the released file and the npm package
 * contain JavaScript.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

registerHooks({
  // A source names another one by its exact path, and is a module. To find that out takes Node a third of the time of loading.
  resolve(specifier, context, next) {
    if (!/^\.\.?\/.*\.ts$/.test(specifier)) return next(specifier, context);
    const url = new URL(specifier, context.parentURL);
    // The error of Node names the file that imports a missing one.
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
});
