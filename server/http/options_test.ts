import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";
import { assertDeleteOptions, parseCollectionOptions, parseDeleteOptions, parseWriteOptions } from "./options.ts";

const NAMES = [
  "dryRun",
  "fieldManager",
  "fieldValidation",
  "force",
  "labelSelector",
  "fieldSelector",
  "limit",
  "continue",
  "resourceVersion",
  "resourceVersionMatch",
  "timeoutSeconds",
  "allowWatchBookmarks",
  "sendInitialEvents",
  "gracePeriodSeconds",
  "orphanDependents",
  "propagationPolicy",
];
const VALUES = [
  "",
  "All",
  "Strict",
  "true",
  "0",
  "-1",
  "9223372036854775808",
  "1e3",
  "a=b",
  "a in (",
  "\\",
  "Exact",
  "\u0000",
];

test("the options of every verb are parsed, or refused with a 4xx, whatever the query", () => {
  const pair = fc.tuple(fc.constantFrom(...NAMES), fc.oneof(fc.constantFrom(...VALUES), anyText()));
  fc.assert(fc.property(fc.array(pair, { maxLength: 6 }), fc.string(), (pairs, userAgent) => {
    const query = new URLSearchParams(pairs);
    for (const verb of ["create", "update", "patch", "apply"] as const) {
      refusable(() => parseWriteOptions(verb, query, userAgent));
    }
    refusable(() => parseCollectionOptions(query, false));
    refusable(() => parseCollectionOptions(query, true));
    refusable(() => assertDeleteOptions(parseDeleteOptions(query), false));
  }));
});

test("parseCollectionOptions() accepts a limit with a sign, and ignores a negative one", () => {
  assert.equal(parseCollectionOptions(new URLSearchParams("limit=%2B5"), false).limit, 5);
  assert.equal(parseCollectionOptions(new URLSearchParams("limit=-5"), false).limit, 0);
});

test("parseCollectionOptions() parses a long selector once for all requests that use it at the same time", () => {
  const parse = (edit: string) => {
    const labelSelector = `${"a,".repeat(200)}${edit}`;
    const fieldSelector = `metadata.name=${"a".repeat(300)}${edit}`;
    return parseCollectionOptions(new URLSearchParams({ labelSelector, fieldSelector }), true);
  };
  const [first, again, other] = [parse("b"), parse("b"), parse("c")];
  assert.equal(first.labels, again.labels);
  assert.equal(first.fields, again.fields);
  assert.notEqual(first.labels, other.labels);
  assert.deepEqual(other.fields, [{ field: "metadata.name", operator: "=", value: `${"a".repeat(300)}c` }]);
});
