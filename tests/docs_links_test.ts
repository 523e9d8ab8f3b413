/** Checks that links and paths in this repository's pages exist. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { renderPages } from "../scripts/docs/pages.ts";
import { readSources, type SourceText } from "./support/sources.ts";

/** The pages at the top level, in `docs` and in `packaging`. */
const PAGES = readSources(["*.md", "{docs,packaging}/**/*.md"]);

/** Returns the anchor that GitHub makes of a heading. */
function toAnchor(heading: string): string {
  return heading.replace(/`|\[|\]\([^)]*\)/g, "").toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
}

function findAnchors({ text }: SourceText): readonly string[] {
  const prose = text.replace(/^```[^]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => toAnchor(heading.trim()));
}

test("every link in a page leads to an existing file and heading", () => {
  const broken: string[] = [];
  for (const { path, text } of PAGES) {
    for (const [, link = ""] of text.replace(/^```[^]*?^```$/gm, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      if (!existsSync(target)) broken.push(`${path}: ${link}`);
      else if (anchor !== undefined && !readSources([target]).flatMap(findAnchors).includes(anchor)) {
        broken.push(`${path}: ${link} has no such heading`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

/** Matches the path of a page in a source. */
const DOCS_PATH = /(?<![\w/.-])docs\/[\w/-]+\.(?:md|svg|yaml)\b/g;
/** Matches the path of a file in a page. */
const PATH =
  /(?<![\w/.-])(?:core|server|controllers|client|instance|ui|cli|scripts|tests|packaging|docs)\/[\w/.-]+\.(?:ts|md|svg|yaml|txt)\b/g;

test("every path in a page exists, and so does every page that a source mentions", () => {
  const programs = readSources([
    "{cli,client,controllers,core,instance,server,ui,scripts,tests,packaging}/**/*.{ts,yaml}",
  ]);
  const find = (sources: readonly SourceText[], pattern: RegExp) =>
    sources.flatMap(({ path, text }) => [...text.matchAll(pattern)].map(([named]) => ({ path, named })));
  const named = [...find(PAGES, PATH), ...find(programs, DOCS_PATH)];
  assert.deepEqual(named.filter(({ named }) => !existsSync(named)), []);
});

/** The fewest files of each story, in the order of the page. */
const MIN_FILES = [20, 4, 15, 20, 10, 20];

test("docs/engineering/a-request-file-by-file.md: each story lists existing files, each once", () => {
  const [page] = readSources(["docs/engineering/a-request-file-by-file.md"]);
  const stories = (page?.text ?? "").split(/^## /m).slice(1);
  assert.equal(stories.length, MIN_FILES.length);
  for (const [at, story] of stories.entries()) {
    const entries = [...story.matchAll(/^(\d+)\. `([\w/.-]+\.ts)`: \S/gm)].map(([, number, file = ""]) => ({
      number,
      file,
    }));
    assert.ok(entries.length >= MIN_FILES[at]!, `story ${at + 1} has ${entries.length} files`);
    assert.deepEqual(entries.map(({ number }) => Number(number)), entries.map((_, index) => index + 1));
    assert.equal(new Set(entries.map(({ file }) => file)).size, entries.length, "a file is listed twice");
    assert.deepEqual(entries.map(({ file }) => file).filter((file) => !existsSync(file)), []);
  }
});

/** What `npx` may run: this project's version of Deno, and, with `--no`, what is already installed. */
const SAFE_NPX = /^npx (?:-y deno@\d+\.\d+\.\d+|--no tlsboot)\b/;

test("no page shows a command that could run someone else's package under our name", () => {
  const risky: string[] = [];
  for (const { path, text } of PAGES) {
    for (const [line] of text.matchAll(/\b(?:npx [-\w@/]+|npm (?:exec|x|init|create) |(?:pnpm|yarn) dlx |bunx ).*/g)) {
      if (!SAFE_NPX.test(line)) risky.push(`${path}: ${line}`);
    }
  }
  assert.deepEqual(risky, []);
});

test("README.md and SECURITY.md are as `deno task docs` writes them", async () => {
  for (const [path, page] of Object.entries(await renderPages("."))) {
    assert.equal(PAGES.find((one) => one.path === path)?.text, page);
  }
});

test("once there is an address, README.md installs a signed file, and SECURITY.md has the contact", async () => {
  const address = "https://git.example.org/owner/tlsboot";
  const facts = { address, contact: "security@example.org", releaseKey: "RWkey", version: "1.2.3" };
  const { "README.md": readme = "", "SECURITY.md": security = "" } = await renderPages(".", facts);
  const [, install = ""] = /\n## Install\n([^]*?)\n## /.exec(readme) ?? [];
  assert.match(
    install,
    /^\n[^`\n]+`linux-arm64`[^`]*\n```sh\ncurl [^]*minisign -V -P RWkey -m SHA256SUMS\n```\n\nThe file is /,
  );
  assert.ok(
    install.includes(`"${address}/releases/download/v1.2.3/{tlsboot-1.2.3-linux-x64,SHA256SUMS,SHA256SUMS.minisig}"`),
  );
  assert.doesNotMatch(install, /nothing to download/);
  assert.match(security, /\n\nWrite to security@example\.org\.\n\nPlease do not publish /);
  // A site that builds its own files has a key, but no address.
  const { "README.md": own = "" } = await renderPages(".", { ...facts, address: "" });
  assert.match(own, /nothing to download yet[^]*signed with the minisign key `RWkey`\.\n\nThe file is /);
});
