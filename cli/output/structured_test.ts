import assert from "node:assert/strict";
import { test } from "node:test";
import { formatJson, formatSortedYaml } from "./structured.ts";

test("formatJson() sorts keys, indents by four and escapes as Go does", () => {
  assert.equal(
    formatJson({ b: [{ d: 1, c: "<&>" }], a: {}, e: [], u: undefined }),
    `{
    "a": {},
    "b": [
        {
            "c": "\\u003c\\u0026\\u003e",
            "d": 1
        }
    ],
    "e": []
}
`,
  );
});

test("formatJson() keeps keys that look like methods of objects", () => {
  assert.equal(formatJson(JSON.parse('{"__proto__": 1, "a": 2}')), '{\n    "__proto__": 1,\n    "a": 2\n}\n');
});

test("formatJson() and formatSortedYaml() write a date without milliseconds", () => {
  const facts = { at: new Date("2026-01-31T12:00:00.123Z") };
  assert.equal(formatJson(facts), '{\n    "at": "2026-01-31T12:00:00Z"\n}\n');
  assert.match(formatSortedYaml(facts), /^at: "2026-01-31T12:00:00Z"\n$/);
});
