/** The rules of wording that a program can check: plain words, names with a verb, whole sentences, live references. */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { COMMAND_TABLE } from "../cli/commands/mod.ts";
import { flagName } from "../cli/framework/flags.ts";
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
/** The rooms that a program can use as a library. Only `cli` has flags. */
const LIBRARY = ["{core,controllers,server,client,instance,ui}/**/*.{ts,tsx}"];
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

/** A flag, which is no variable of a style sheet: those are `--name:` and `var(--name)`. */
const FLAG = /(?<![\w-]|var\()--([a-z][a-z-]*)(?![\w:-])/g;

/** The last program before a flag, if only its words and their values are between them. Daemons are started "with" flags. */
const OPEN_COMMAND =
  /(?:^|[\s`(])(?:tlsboot|kubectl|kubeadm|kube-[a-z-]+(?: with)?)(?: (?!(?:with|and|or|needs?|without)\b)[^\s]*[^\s,;:.])*\s$/;

/** Flags with their values and nothing else, which are a part of a command that other code completes. */
const ONLY_FLAGS = /^\s*(?:--[a-z-]+(?:[= ](?:\w*…|[A-Z]+|\d+[a-z]))?\s*)+$/;

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

/** Finds the texts of a source that may contain a flag. A sum of texts is one text, with `…` for each value in it. */
function findTexts({ path, text }: SourceText): readonly Line[] {
  if (!text.includes("--")) return [];
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lines: Line[] = [];
  const join = (node: ts.Node): string => {
    if (ts.isStringLiteralLike(node) || ts.isJsxText(node)) return node.text;
    if (ts.isTemplateExpression(node)) {
      return node.head.text + node.templateSpans.map((span) => join(span.expression) + span.literal.text).join("");
    }
    if (isSum(node)) return join(node.left) + join(node.right);
    visit(node);
    return "…";
  };
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isJsxText(node) || ts.isTemplateExpression(node) || isSum(node)) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      lines.push({ place: `${path}:${line + 1}`, text: join(node) });
    } else {
      ts.forEachChild(node, visit);
    }
  };
  visit(file);
  return lines;
}

function isSum(node: ts.Node): node is ts.BinaryExpression {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken;
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

// A flag that tlsboot does not have belongs to Kubernetes or etcd, whose texts keep their wording.
test("wording: a library names a flag only in a command that a person can copy", () => {
  const own = new Set(COMMAND_TABLE.commands.flatMap(({ flags }) => Object.keys(flags).map(flagName)));
  const texts = readSources(LIBRARY, /_test\.ts$|testdata/).flatMap(findTexts);
  const found = texts.filter(({ text }) => !ONLY_FLAGS.test(text)).flatMap(({ place, text }) =>
    [...text.matchAll(FLAG)]
      .filter(({ 1: name = "", index }) => own.has(name) && !OPEN_COMMAND.test(text.slice(0, index)))
      .map(({ index, 0: flag }) => ({ place, text: text.slice(Math.max(0, index - 40), index + flag.length) }))
  );
  assert.equal(show(found), "", "write: the setting dataDir; for people at a terminal, cli shows its flag instead");
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
