/** The rules of wording that a program can check: plain words, names with a verb, references that a reader can open. */
import assert from "node:assert/strict";
import { glob, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { test } from "node:test";

/** Words that this project once used in senses of its own, each with what to write instead. */
const WORDS: Readonly<Record<string, string>> = {
  "strangers?": "unauthenticated clients",
  somebody: "a user",
  nobody: "no one, or the subject itself",
  untold: "unreported",
  "looked at": "checked",
  "nudge[sd]?": "trigger, wake-up",
  farewell: "close grace",
  patience: "idle timeout",
  foretold: "already reported in dry run",
  mended: "fixed",
  "comes by": "passes",
  "is wished": "is requested",
  "siege|besieged?": "overload, overloaded",
  gardener: "cleaner",
};

const PRODUCT = ["core/**/*.ts", "controllers/**/*.ts", "server/**/*.ts", "client/**/*.ts", "cli/**/*.ts", "mod.ts"];
const PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/{engineering,guides,reference}/*.md"];
const TESTS = ["tests/**/*.ts", "scripts/**/*.ts"];

const TEST_FILE = /_test\.ts$/;

/** A name that only says "of": `nameOf`. ASN.1's own SET OF is none. */
const FUNCTION_OF = /\bfunction [a-z]\w*(?<!Set)Of\(/;

interface Line {
  readonly place: string;
  readonly text: string;
}

async function readLines(patterns: readonly string[], skipped = /^$/): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for (const pattern of patterns) {
    for await (const path of glob(pattern)) {
      if (skipped.test(path)) continue;
      const text = await readFile(path, "utf8");
      text.split("\n").forEach((line, index) => lines.push({ place: `${path}:${index + 1}`, text: line }));
    }
  }
  return lines;
}

function show(lines: readonly Line[]): string {
  return lines.map(({ place, text }) => `${place}: ${text.trim()}`).join("\n");
}

test("wording: plain words stand where this project once had its own", async () => {
  const words = new RegExp(`\\b(?:${Object.keys(WORDS).join("|")})\\b`, "i");
  const found = (await readLines([...PRODUCT, ...PAGES], TEST_FILE)).filter(({ text }) => words.test(text));
  assert.equal(show(found), "", `write instead: ${JSON.stringify(WORDS, null, 2)}`);
});

test("wording: the name of a function says what it does, with a verb", async () => {
  const found = (await readLines(PRODUCT, TEST_FILE)).filter(({ text }) => FUNCTION_OF.test(text));
  assert.equal(show(found), "", "parseX, findX, getX, toX, createX … say what a call costs and how it fails");
});

test("wording: a page that is named is in the repository", async () => {
  const pages = new Set<string>();
  for await (const path of glob("{*,docs/**/*,packaging/**/*}.md")) pages.add(basename(path));
  const found = (await readLines([...PRODUCT, ...TESTS])).filter(({ text }) =>
    [...text.matchAll(/(?<![\w.*-])[\w-]+\.md\b/g)].some(([page]) => !pages.has(page))
  );
  assert.equal(show(found), "", "name the upstream path or the section of an RFC instead");
});
