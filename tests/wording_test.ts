/** The rules of wording that a program can check: plain words, names with a verb, whole sentences, live references. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { readSources, type SourceText } from "./support/sources.ts";

/** Words that this project once used in its own senses, each with its replacement. */
const WORDS: Readonly<Record<string, string>> = {
  "strangers?": "unauthenticated clients",
  somebody: "a user",
  nobody: "no one, or the subject itself",
  untold: "unreported",
  told: "reported, logged, answered",
  "tells?": "report, log, print",
  remembered: "cached, recorded",
  "looked at": "checked",
  "nudge[sd]?": "trigger, wake-up",
  farewell: "close grace",
  patience: "idle timeout",
  foretold: "already reported in dry run",
  mended: "fixed",
  "comes by": "passes",
  "wish|wished|wishes": "request, requested",
  "siege|besieged?": "overload, overloaded",
  gardener: "cleaner",
  "is about it": "applies to it",
  "what it is about(?! to)": "what it applies to",
  "(?:signer|requester|name) \\S+ is another": "does not match",
  "when you know better": "if you know it",
};

const PRODUCT = ["{core,controllers,server,client,instance,ui,cli}/**/*.{ts,tsx}", "mod.ts"];
const PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/{engineering,guides,reference}/*.md"];
const TESTS = ["tests/**/*.ts", "scripts/**/*.ts"];
const UNIT_TESTS = ["{core,controllers,server,client,instance,ui,cli}/**/*_test.ts"];

/** Tests, of which only the prose is checked, and licence texts. */
const NOT_OUR_WORDS = /(?:_test|\/license_texts)\.ts$/;

/** A name that only says "of", such as `nameOf`. ASN.1's SET OF and predicates such as `isKeyOf` are allowed. */
const FUNCTION_OF = /\bfunction (?!is|has)[a-z]\w*(?<!Set)Of\(/;

/** The prose of a test: comments and test names. Test data may have any words. */
const COMMENT_LINE = /^\s*(?:\/\*\*|\*|\/\/).*$/;
const TEST_NAME = /\b(?:test|check)\(\s*(["`].*)$/;

/** The fewest words that make a useful sentence. */
const MIN_WORDS = 5;

/** The parts of a comment that need no sentence: tags, and the usage of a program. */
const NOT_PROSE = /^(?:@(?:example|module|param|returns|see|throws)\b|Usage: )/m;

/** The end of a sentence, of a list or table, or of an example. */
const SENTENCE_END = /[.!?:…|)`\]]$/;

interface Line {
  readonly place: string;
  readonly text: string;
}

/** Finds the lines that a pattern matches. */
function findLines(sources: readonly SourceText[], pattern: RegExp): readonly Line[] {
  return sources.filter(({ text }) => pattern.test(text)).flatMap(({ path, text }) =>
    text.split("\n").map((line, index) => ({ place: `${path}:${index + 1}`, text: line }))
      .filter((line) => pattern.test(line.text))
  );
}

function show(lines: readonly Line[]): string {
  return lines.map(({ place, text }) => `${place}: ${text.trim()}`).join("\n");
}

/** Returns the doc comments of a source without their frame. */
function findDocComments({ path, text }: SourceText): readonly Line[] {
  return [...text.matchAll(/^[ \t]*\/\*\*(?!\/)([^]*?)\*\//gm)].map((match) => ({
    place: `${path}:${text.slice(0, match.index).split("\n").length}`,
    text: (match[1] ?? "").replace(/\n\s*\* ?/g, "\n").trim(),
  }));
}

test("wording: the project's former private words are gone", () => {
  const words = new RegExp(`\\b(?:${Object.keys(WORDS).join("|")})\\b`, "i");
  const prose = findLines(readSources([...TESTS, ...UNIT_TESTS]), words).filter(({ text }) =>
    words.test(COMMENT_LINE.exec(text)?.[0] ?? TEST_NAME.exec(text)?.[1] ?? "")
  );
  const found = [...findLines(readSources([...PRODUCT, ...PAGES], NOT_OUR_WORDS), words), ...prose];
  assert.equal(show(found), "", `write instead: ${JSON.stringify(WORDS, null, 2)}`);
});

test("wording: the name of a function has a verb", () => {
  const found = findLines(readSources([...PRODUCT, ...TESTS]), FUNCTION_OF);
  assert.equal(show(found), "", "parseX, findX, getX, toX, createX … say what a call costs and how it fails");
});

test("wording: the name of a file begins with a letter, because folders say what is private", () => {
  const paths = [...PRODUCT, ...TESTS].flatMap((pattern) => globSync(pattern));
  assert.deepEqual(paths.filter((path) => basename(path).startsWith("_")), []);
});

test("wording: a doc comment is a whole sentence of five words or more", () => {
  const found = readSources([...PRODUCT, ...TESTS]).flatMap(findDocComments).filter(({ text }) => {
    const prose = (text.split(NOT_PROSE)[0] ?? "").trim();
    const words = prose.split(/\s+/).filter((word) => /\w/.test(word));
    if (prose === "" && /^@param\b/.test(text)) return false;
    return words.length < MIN_WORDS || !SENTENCE_END.test(prose);
  });
  assert.equal(show(found), "", "say more, or leave the comment out; a sentence ends where its comment ends");
});

test("wording: every page that a source mentions exists", () => {
  const pages = new Set(globSync("{*,docs/**/*,packaging/**/*}.md").map((path) => basename(path)));
  const found = findLines(readSources([...PRODUCT, ...TESTS]), /\.md\b/).filter(({ text }) =>
    [...text.matchAll(/(?<![\w.*-])[\w-]+\.md\b/g)].some(([page]) => !pages.has(page))
  );
  assert.equal(show(found), "", "name the upstream path or the section of an RFC instead");
});

test("wording: no file has the markers of a merge conflict", () => {
  const found = findLines(
    readSources([...PRODUCT, ...TESTS, ...PAGES, "packaging/**/*.*", "packaging/debian/*"]),
    /^(?:<{7}|>{7}) /m,
  );
  assert.equal(show(found), "", "choose one of both texts");
});
