/** Links and paths in the pages of this repository lead somewhere. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { CONTACT } from "../scripts/package/contact.ts";
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

/** Matches pages of this repository that sources name. */
const DOCS_PATH = /(?<![\w/.-])docs\/[\w/-]+\.(?:md|svg|yaml)\b/g;
/** Files of the repository that pages name. */
const PATH =
  /(?<![\w/.-])(?:core|server|controllers|client|cli|scripts|tests|packaging|docs)\/[\w/.-]+\.(?:ts|md|svg|yaml|txt)\b/g;

test("every path that a page names exists, and every page that a program or a test names", async () => {
  const broken: string[] = [];
  const check = async (path: string, pattern: RegExp) => {
    for (const [named] of (await readFile(join(ROOT, path), "utf8")).matchAll(pattern)) {
      if (!existsSync(join(ROOT, named))) broken.push(`${path}: ${named}`);
    }
  };
  for (const path of await findPages()) await check(path, PATH);
  for (const folder of ["cli", "client", "controllers", "core", "server", "scripts", "tests", "packaging"]) {
    const names = await readdir(join(ROOT, folder), { recursive: true });
    const sources = names.filter((name) => /\.(ts|yaml)$/.test(name) && !name.includes("node_modules"));
    for (const name of sources) await check(join(folder, name), DOCS_PATH);
  }
  assert.deepEqual(broken, []);
});

test("docs/engineering/a-request-file-by-file.md: each story lists existing files, each once", async () => {
  const page = await readFile(join(ROOT, "docs", "engineering", "a-request-file-by-file.md"), "utf8");
  const stories = page.split(/^## /m).slice(1);
  assert.equal(stories.length, 4);
  for (const story of stories) {
    const entries = [...story.matchAll(/^(\d+)\. `([\w/.-]+\.ts)`: \S/gm)].map(([, number, file = ""]) => ({
      number,
      file,
    }));
    assert.ok(entries.length >= 4, "a story has its files");
    assert.deepEqual(entries.map(({ number }) => Number(number)), entries.map((_, index) => index + 1));
    assert.equal(new Set(entries.map(({ file }) => file)).size, entries.length, "a file is listed twice");
    assert.deepEqual(entries.map(({ file }) => file).filter((file) => !existsSync(join(ROOT, file))), []);
  }
});

/** What `npx` may run: Deno in the version of this project, and what is installed already, which `--no` says. */
const SAFE_NPX = /^npx (?:-y deno@\d+\.\d+\.\d+|--no tlsboot)\b/;

test("no page shows a line of npx that would run a package of others under our name", async () => {
  const risky: string[] = [];
  for (const path of await findPages()) {
    const page = await readFile(join(ROOT, path), "utf8");
    for (const [line] of page.matchAll(/\b(?:npx [-\w@/]+|npm (?:exec|x|init|create) |(?:pnpm|yarn) dlx |bunx ).*/g)) {
      if (!SAFE_NPX.test(line)) risky.push(`${path}: ${line}`);
    }
  }
  assert.deepEqual(risky, []);
});

test("SECURITY.md names the address of the maintainers, or says that there is none", async () => {
  const page = await readFile(join(ROOT, "SECURITY.md"), "utf8");
  assert.ok(page.includes(CONTACT === "" ? "no address for private reports yet" : CONTACT));
});
