/** YAML: any text is read in linear time, and printed YAML is read as the same value, also by another reader. */
import { parse } from "yaml";
import { readYaml } from "../../../core/lib/yaml/document.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { parseYaml } from "../../../core/kube/wire/yaml.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import { assertSame, refusalOutcome } from "../oracle.ts";
import { encodeText, type Target } from "../target.ts";
import { getVector } from "../inputs/seeds.ts";
import { decodeAgain } from "./json.ts";

const WORDS = [
  "a: ",
  "? ",
  "- ",
  ": ",
  "  ",
  "{a: ",
  "[{",
  "{N: 1, ",
  "N: x\n",
  "&aN ",
  "*a0",
  "*aN, ",
  "&a [*a]",
  "<<: *a0\n",
  "<<: [*a0, *a0]\n",
  "|\n",
  ">-\n",
  "|2+\n",
  '"\\x41',
  "\\u0041",
  "\\\n",
  "''",
  " # x\n",
  "---\n",
  "...\n",
  "%YAML 1.1\n",
  "%TAG ! tag:x,N:\n",
  "!!str ",
  "!!binary ",
  "!!float ",
  "!<tag:x> ",
  "!!merge ",
  "0x1f",
  "0b1",
  "1_0",
  "1:30",
  ".inf",
  "yes",
  "2020-01-01",
  "- - ",
  "? ? ",
];

const DOCUMENTS = [
  "a: &x [1, 2]\nb: *x\nc: {<<: {d: 1}, e: 2}\n",
  "a: |\n  x\n  y\nb: >-\n  x\n\n  y\n",
  "'a b': \"c\\n\\u00e9\"\n? [x]\n: y\n",
  "- - 1\n  - {a: [b, c: d]}\n- !!str 5\n",
  "%YAML 1.1\n---\na: 1 # x\n...\n",
  "a: plain\n  folded text\nb: 'single\n\n  quoted'\n",
];

export const yaml: Target = {
  seeds: [...ALL_KINDS.map((kind) => encodeText(getVector(kind).yaml)), ...DOCUMENTS.map(encodeText)],
  words: WORDS,
  maxBytes: 3 * 2 ** 20,
  run(input) {
    // The readers of config files and kubeconfigs must return, whatever the text.
    const text = new TextDecoder().decode(input);
    for (const version of ["1.1", "1.2"] as const) readYaml(text, version);
    try {
      const document = parseYaml(input);
      const { value } = document;
      // Go writes a member called `<<` without quotes, as we do, and reads it back as a merge.
      if (input.length < 8192 && typeof value === "object" && JSON.stringify(value)?.includes('"<<":') !== true) {
        const written = formatYaml(value);
        assertSame(readAgain(written), JSON.stringify(value), "written and read");
        if (!MISREAD_BY_PACKAGE.test(written)) compareWithPackage(written, value);
      }
      return decodeAgain(ALL_KINDS[input.length % ALL_KINDS.length]!, document);
    } catch (error) {
      return refusalOutcome(error);
    }
  },
};

/** Reads printed YAML, which may be refused only for line breaks of YAML 1.1 and for long keys. */
function readAgain(written: string): string {
  try {
    return JSON.stringify(parseYaml(written).value);
  } catch (error) {
    if (/[\u2028\u2029]|^ *(?:- )*\? .{900}/m.test(written)) throw error;
    throw new Error(`printed YAML is refused: ${written.slice(0, 200)}`, { cause: error });
  }
}

/**
 * Matches text that npm's `yaml` reads differently from Go: the package drops everything below about a thousand levels,
 * and does not support the line breaks of YAML 1.1.
 */
const MISREAD_BY_PACKAGE = /^(?:[- ] ){500}|[\u2028\u2029]/m;

/** Checks that another parser reads printed YAML as the same value. */
function compareWithPackage(written: string, value: unknown): void {
  const theirs: unknown = parse(written, { version: "1.1", logLevel: "silent", schema: "failsafe", stringKeys: true });
  const fault = findDifference(value, theirs, "");
  if (fault !== undefined) throw new Error(`the package reads another document: ${fault} in ${written.slice(0, 200)}`);
}

/** Finds a difference between two readings; only strings are compared by value. */
function findDifference(ours: unknown, theirs: unknown, path: string): string | undefined {
  if (typeof ours === "string" && typeof theirs === "string") {
    return ours === theirs ? undefined : `${path}: ${JSON.stringify(ours)} and ${JSON.stringify(theirs)}`;
  }
  if (typeof ours !== "object" || ours === null) return undefined;
  if (typeof theirs !== "object" || theirs === null) return `${path}: ${typeof ours} and ${typeof theirs}`;
  for (const [key, member] of Object.entries(ours)) {
    // Keys that are numbers or special words are printed differently.
    if (!Object.hasOwn(theirs, key)) continue;
    const fault = findDifference(member, (theirs as Record<string, unknown>)[key], `${path}/${key}`);
    if (fault !== undefined) return fault;
  }
  const sizes = [ours, theirs].map((side) => Object.keys(side).length);
  return sizes[0] === sizes[1] ? undefined : `${path}: ${sizes.join(" and ")} members`;
}
