/** JSON, alone and as objects: it is read as by JSON.parse, and decoding an encoded object does not change it. */
import { decodeObject, encodeObject, jsonText } from "../../../core/kube/wire/object_json.ts";
import { parseJson } from "../../../core/kube/wire/json_parser.ts";
import type { JsonDocument } from "../../../core/kube/json_value.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import type { Kind } from "../../../core/kube/schema.ts";
import { assertHolds, assertSame, refusalOutcome } from "../oracle.ts";
import { restructureJson } from "../structure/json.ts";
import { type Bytes, decodeText, type Target } from "../target.ts";
import { behindKind, forKind, getVector, JSON_WORDS, kindAndBody } from "../inputs/seeds.ts";

/** The largest compared input; comparing a larger one could overflow the stack. */
const COMPARED_BYTES = 4096;

export const json: Target = {
  seeds: ALL_KINDS.map((kind) => forKind(kind, getVector(kind).json)),
  words: JSON_WORDS,
  maxBytes: 3 * 2 ** 20,
  restructure: behindKind(restructureJson),
  run(input) {
    const { kind, body } = kindAndBody(input);
    try {
      const document = parseJson(body);
      if (body.length < COMPARED_BYTES) compare(body, document);
      return decodeAgain(kind, document);
    } catch (error) {
      const outcome = refusalOutcome(error);
      assertRefusedToo(body, outcome);
      return outcome;
    }
  },
};

/** Decodes an input, and decodes its encoding again. */
export function decodeAgain(kind: Kind, document: JsonDocument): string {
  const { object, strictErrors } = decodeObject(kind.schema, document.value, document);
  const text = jsonText(encodeObject(kind, object));
  const again = parseJson(text);
  const second = decodeObject(kind.schema, again.value, again);
  assertSame(jsonText(encodeObject(kind, second.object)), text, "decoded again");
  return `ok ${strictErrors.length > 0}`;
}

function compare(body: Bytes, { value }: JsonDocument): void {
  const theirs: unknown = JSON.parse(decodeText(body));
  // Half a surrogate pair is U+FFFD here, each byte that is not UTF-8 counts separately, and -0 equals 0.
  assertSame(plain(value), plain(theirs), "JSON.parse");
}

function plain(value: unknown): string {
  return JSON.stringify(value).replace(/(?:\\ud[89a-f][0-9a-f]{2}|\ufffd)+/g, "\ufffd");
}

function assertRefusedToo(body: Bytes, outcome: string): void {
  // Valid JSON need not be an object of the kind.
  if (body.length >= COMPARED_BYTES || !/invalid character|unexpected end of JSON/.test(outcome)) return;
  let accepted = true;
  try {
    JSON.parse(decodeText(body));
  } catch {
    accepted = false;
  }
  assertHolds(!accepted, `refused what JSON.parse accepts: ${outcome}`);
}
