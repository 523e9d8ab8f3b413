/** Checks the exported names of each entry point, so that they change only on purpose. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import * as cli from "../cli/mod.ts";
import * as client from "../client/mod.ts";
import * as controllers from "../controllers/mod.ts";
import * as core from "../core/mod.ts";
import * as all from "../mod.ts";
import * as server from "../server/mod.ts";
import { ROOT } from "./support/child.ts";
import { assertGolden } from "./support/golden.ts";

/** An exported name. A type does not exist at run time. */
interface Exported {
  readonly name: string;
  readonly isType: boolean;
}

const ENTRIES: readonly { readonly path: string; readonly values: object }[] = [
  { path: "mod.ts", values: all },
  { path: "core/mod.ts", values: core },
  { path: "controllers/mod.ts", values: controllers },
  { path: "server/mod.ts", values: server },
  { path: "client/mod.ts", values: client },
  { path: "cli/mod.ts", values: cli },
];

for (const { path, values } of ENTRIES) {
  test(`${path} exports the names in tests/golden/public_api`, async () => {
    const names = (await findNames(path)).sort((a, b) => a.name < b.name ? -1 : 1);
    const golden = path === "mod.ts" ? "all" : dirname(path);
    const lines = names.map(({ name, isType }) => isType ? `type ${name}` : name);
    await assertGolden(`tests/golden/public_api/${golden}.txt`, `${lines.join("\n")}\n`);
  });

  test(`${path} exports each name once, and every value exists`, async () => {
    const names = await findNames(path);
    assert.equal(new Set(names.map(({ name }) => name)).size, names.length);
    const valueNames = names.filter(({ isType }) => !isType).map(({ name }) => name);
    assert.deepEqual(valueNames.sort(), Object.keys(values).sort());
  });
}

/**
 * Reads `export { a, type B, c as d } from`, `export type { … } from` and `export * from`, and fails on anything else.
 */
async function findNames(path: string): Promise<Exported[]> {
  const text = (await readFile(join(ROOT, path), "utf8")).replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const names: Exported[] = [];
  const rest = text.replaceAll(
    /export (?:\*|(type )?\{([^}]*)\}) from "([^"]+)";/g,
    (_statement, isType: string | undefined, list: string | undefined, specifier: string) => {
      names.push(
        ...list === undefined ? [{ name: specifier, isType: false }] : parseExported(list, isType !== undefined),
      );
      return "";
    },
  );
  assert.equal(rest.trim(), "", `${path} has more than re-exports`);
  const nested = names.map((entry) =>
    entry.name.startsWith(".") ? findNames(normalize(join(dirname(path), entry.name))) : [entry]
  );
  return (await Promise.all(nested)).flat();
}

function parseExported(list: string, areTypes: boolean): Exported[] {
  const parts = list.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return parts.map((part) => ({
    name: part.replace(/^type /, "").replace(/^.* as /, ""),
    isType: areTypes || part.startsWith("type "),
  }));
}
