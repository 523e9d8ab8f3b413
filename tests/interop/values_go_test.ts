/**
 * Compares durations, quantities, label selectors and YAML, mutated or generated from a constant seed, with the parsers
 * of Go, apimachinery and sigs.k8s.io/yaml.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJson } from "../../core/kube/wire/json_parser.ts";
import type { JsonDocument } from "../../core/kube/json_value.ts";
import { canonicalQuantity } from "../../core/kube/wire/scalars.ts";
import { parseYaml } from "../../core/kube/wire/yaml.ts";
import { ALL_KINDS } from "../../core/kube/kinds/mod.ts";
import { parseLabelSelector } from "../../core/kube/selectors.ts";
import { parseDuration } from "../../core/lib/duration.ts";
import { getVector } from "../fuzz/inputs/seeds.ts";
import { generateYaml } from "../fuzz/inputs/yaml.ts";
import { mutate } from "../fuzz/mutate.ts";
import { yaml } from "../fuzz/targets/yaml.ts";
import { decodeText, encodeText } from "../fuzz/target.ts";
import { succeedProgram } from "../support/child.ts";
import { peerPath } from "../support/peers/go.ts";
import { createSeededRandom } from "../support/seeded_random.ts";

const SEED = 4711;
const COUNT = 1_500;
const MAX_BYTES = 60;
const MAX_YAML_BYTES = 3_000;
/**
 * Excludes exponents that keep apimachinery busy for minutes and that tlsboot reduces
 * (docs/engineering/architecture.md), and surrounding spaces, which the JSON decoders of both sides remove from
 * quantities.
 */
function isComparable(text: string): boolean {
  return !/[eE][+-]?\d{3,}/.test(text) && text === text.trim();
}

interface Kind {
  readonly kind: string;
  readonly seeds: readonly string[];
  readonly words: readonly string[];
  /** Returns the value as valuejudge prints it, or undefined if the text is refused. */
  readonly parse: (text: string) => string | undefined;
  /** Converts valuejudge's value to the same form. */
  readonly convert?: (value: string) => string;
}

const KINDS: readonly Kind[] = [
  {
    kind: "duration",
    seeds: ["10m", "1h30m0.5s", "-1.5h", "+5s", ".5s", "1µs", "2562047h47m16.854775807s", "9223372036854775807ns", "0"],
    words: ["ns", "us", "µs", "μs", "ms", "s", "m", "h", ".", "-", "0", "9", "constructor", "1e3"],
    parse(text) {
      const parsed = parseDuration(text);
      return parsed.ok ? String(parsed.value + 0) : undefined;
    },
    convert: (nanoseconds) => String(Number(nanoseconds) / 1e6 + 0),
  },
  {
    kind: "quantity",
    seeds: ["250m", "1Gi", "1.5", "-3k", "1e3", "1E3", "+7M", "1024Mi", "0.1n", "999999999999999999", "12E", "8Ei"],
    words: ["n", "u", "m", "k", "M", "Ki", "Gi", "Ei", "E", "e", "e-3", ".", "-", "+", "0", "000", "constructor"],
    parse(text) {
      try {
        return canonicalQuantity(text);
      } catch {
        return undefined;
      }
    },
  },
  {
    kind: "labels",
    seeds: ["a=b", "a in (b,c),d", "!x", "a notin (),b!=c", "x>1,y<2", "k8s.io/a==b", "a\u0000=b"],
    words: ["=", "==", "!=", "!", "(", ")", ",", "in", "notin", ">", "<", " ", "\u0000", "a/", "constructor"],
    parse: (text) => (parseLabelSelector(text).ok ? "" : undefined),
  },
];

for (const { kind, seeds, words, parse, convert = (value: string) => value } of KINDS) {
  test(`${kind}: of ${COUNT} texts, Go accepts the same as tlsboot, with the same values`, async () => {
    const pool = { random: createSeededRandom(SEED), inputs: seeds.map(encodeText), words };
    const mutated = Array.from(
      { length: COUNT },
      (_, index) => decodeText(mutate(pool, pool.inputs[index % seeds.length]!, MAX_BYTES)).toWellFormed(),
    );
    const texts = [...new Set([...seeds, ...mutated])].filter((text) => isComparable(text));
    const answers = await parseWithGo(kind, texts);
    const differences = texts.flatMap((text, index) => {
      const [ours, answer] = [parse(text), answers[index]];
      const theirs = typeof answer === "string" ? convert(answer) : undefined;
      return ours === theirs ? [] : [`${JSON.stringify(text)}: ${ours}, Go: ${theirs}`];
    });
    assert.deepEqual(differences, []);
    const accepted = answers.filter((answer) => answer !== null).length;
    assert.ok(accepted > texts.length / 20 && accepted < texts.length, `${accepted} of ${texts.length} are accepted`);
  });
}

test(`yaml: of ${4 * COUNT} texts, tlsboot reads only those that Go reads, with the same values`, async () => {
  const random = createSeededRandom(SEED);
  const generated = Array.from({ length: 2 * COUNT }, () => generateYaml(random));
  const pool = { random, inputs: [...generated.map(encodeText), ...yaml.seeds], words: yaml.words };
  const mutated = Array.from(
    { length: 2 * COUNT },
    (_, index) => decodeText(mutate(pool, pool.inputs.at(-index)!, MAX_YAML_BYTES)).toWellFormed(),
  );
  const texts = [...new Set([...yaml.seeds.map(decodeText), ...generated, ...mutated])];
  const answers = await parseWithGo("yaml", texts);
  const read = new Set<string>();
  const differences = texts.flatMap((text, index) => {
    const answer = answers[index];
    const theirs = typeof answer === "string" ? printDocument(parseJson(answer)) : undefined;
    const ours = readDocument(text);
    if (ours !== undefined) read.add(text);
    return ours === undefined || ours === theirs ? [] : [`${JSON.stringify(text)}: ${ours}, Go: ${theirs}`];
  });
  assert.deepEqual(differences, []);
  // Go reads more: other tags, the line breaks of YAML 1.1, and text after a document.
  const accepted = answers.filter((answer) => answer !== null).length;
  assert.ok(read.size > accepted * 0.6 && accepted > texts.length / 4, `${read.size} of ${accepted} are read`);
  for (const text of ALL_KINDS.map((kind) => getVector(kind).yaml)) assert.ok(read.has(text), text);
});

/** Returns Go's values of texts; null for a refused text. */
async function parseWithGo(kind: string, texts: readonly string[]): Promise<readonly (string | null)[]> {
  const stdin = texts.map((text) => JSON.stringify({ kind, text })).join("\n");
  const { stdout } = await succeedProgram(peerPath("valuejudge"), [], { stdin });
  const answers = stdout.trim().split("\n").map((line): string | null => JSON.parse(line));
  assert.equal(answers.length, texts.length);
  return answers;
}

function readDocument(text: string): string | undefined {
  try {
    return printDocument(parseYaml(text));
  } catch {
    return undefined;
  }
}

/** Prints a document with sorted keys, and numbers with the digits that JavaScript loses. */
function printDocument({ value: root, members }: JsonDocument): string {
  const print = (value: unknown): string => {
    if (typeof value !== "object" || value === null) return JSON.stringify(value);
    const listed = members?.get(value);
    const printed = Object.entries(value).map(([key, member]) =>
      [key, listed?.find((one) => one.key === key)?.literal ?? print(member)] as const
    );
    if (Array.isArray(value)) return `[${printed.map(([, text]) => text).join()}]`;
    return `{${printed.map(([key, text]) => `${JSON.stringify(key)}:${text}`).toSorted().join()}}`;
  };
  return print(root);
}
