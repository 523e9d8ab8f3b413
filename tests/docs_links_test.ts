/** Links and paths in the pages of this repository lead somewhere. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./support/child.ts";

/** The pages: those at the top, all below `docs`, and those that packages carry. */
async function findPages(): Promise<readonly string[]> {
  const top = (await readdir(ROOT)).filter((name) => name.endsWith(".md"));
  const below = await Promise.all(
    ["docs", "packaging"].map(async (folder) =>
      (await readdir(join(ROOT, folder), { recursive: true }))
        .filter((name) => name.endsWith(".md")).map((name) => join(folder, name))
    ),
  );
  return [...top, ...below.flat()].sort();
}

/** The name that a heading has in a link, by GitHub's rule. */
function toAnchor(heading: string): string {
  return heading.replace(/`|\[|\]\([^)]*\)/g, "").toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
}

function findAnchors(page: string): readonly string[] {
  const prose = page.replace(/^```[^]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => toAnchor(heading.trim()));
}

test("every link in the pages leads to a file, and to a heading that it has", async () => {
  const broken: string[] = [];
  for (const path of await findPages()) {
    const page = (await readFile(join(ROOT, path), "utf8")).replace(/^```[^]*?^```$/gm, "");
    for (const [, link = ""] of page.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      if (!existsSync(join(ROOT, target))) broken.push(`${path}: ${link}`);
      else if (anchor !== undefined && !findAnchors(await readFile(join(ROOT, target), "utf8")).includes(anchor)) {
        broken.push(`${path}: ${link} has no such heading`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

test("every path below docs that a page, a program or a test names is there", async () => {
  const broken: string[] = [];
  const sources = await Promise.all(["cli", "client", "core", "server", "scripts", "tests", "packaging"].map(
    async (folder) =>
      (await readdir(join(ROOT, folder), { recursive: true }))
        .filter((name) => /\.(ts|yaml)$/.test(name) && !name.includes("node_modules")).map((name) =>
          join(folder, name)
        ),
  ));
  for (const path of [...await findPages(), ...sources.flat()]) {
    const text = await readFile(join(ROOT, path), "utf8");
    for (const [named] of text.matchAll(/(?<![\w/.-])docs\/[\w/-]+\.(md|svg|yaml)\b/g)) {
      if (!existsSync(join(ROOT, named))) broken.push(`${path}: ${named}`);
    }
  }
  assert.deepEqual(broken, []);
});
