import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "../../tests/support/growth.ts";
import { describeYamlFault, readYaml } from "./yaml_document.ts";
import { parseDocument } from "yaml";

for (
  const { text, want } of [
    { text: "", want: null },
    { text: "a: 1\nb: [x, *n]", want: "Unresolved alias (the anchor must be set before the alias)" },
    { text: "a: &n 1\nb: [x, *n]", want: { a: 1, b: ["x", 1] } },
    { text: 'a: 1\n"1": b\n1: c', want: { a: 1, 1: "c" } },
    { text: "a:\n  b: 1\n  b: 2", want: "Map keys must be unique at line 3, column 3" },
    { text: "? [a]\n: 1", want: "A key must be plain text at line 1, column 3" },
    { text: "a: &n b\n*n : 1", want: "A key must be plain text at line 2, column 1" },
    { text: "a: [", want: /^Flow sequence in block collection .* line 1, column 5$/ },
    { text: `a: ${"[".repeat(100_000)}`, want: /./ },
  ]
) {
  test(`readYaml() of ${JSON.stringify(text.slice(0, 40))}`, () => {
    const read = readYaml(text);
    const got = read.ok ? read.value : read.error;
    if (want instanceof RegExp) assert.match(String(got), want);
    else assert.deepEqual(got, want);
  });
}

test("readYaml() takes linear time, whatever is repeated", async () => {
  for (const piece of ["? ", "- ", "[", "{", "&a ", "a: ", "#\n", "? [a]\n", "- *a\n", "a ", "'"]) {
    const input = (size: number) => piece.repeat(size / piece.length);
    await assertLinear({ input, read: (text) => readYaml(text), limit: 4_096 }).catch((error: unknown) => {
      throw new Error(`repeating ${JSON.stringify(piece)}`, { cause: error });
    });
  }
  const keys = (size: number) => Array.from({ length: size / 8 }, (_, index) => `k${index}: 1\n`).join("");
  await assertLinear({ input: keys, read: (text) => readYaml(text), limit: 65_536 });
});

for (
  const { text, want } of [
    { text: "a: [", want: /^Flow sequence in block collection .* line 1, column 5$/ },
    { text: "a: *otter", want: /^Unresolved alias \(the anchor must be set before the alias\)$/ },
    { text: "|otter", want: /^Block scalar header includes extra characters at line 1, column \d+$/ },
    { text: ">otter", want: /^Block scalar header includes extra characters at line 1, column \d+$/ },
    { text: "!otter!x", want: /^Could not resolve tag at line 1, column \d+$/ },
    { text: "!otter!", want: /^The tag has no suffix at line 1, column \d+$/ },
    { text: '"\\xotter"', want: /^Invalid escape sequence at line 1, column \d+$/ },
    { text: "*otter", want: /^Unresolved alias \(the anchor must be set before the alias\)$/ },
  ]
) {
  test(`describeYamlFault() describes in one line the fault of ${text}`, () => {
    const document = parseDocument(text);
    assert.throws(() => {
      for (const error of document.errors) throw new Error(describeYamlFault(error));
      try {
        document.toJS();
      } catch (error) {
        throw new Error(describeYamlFault(error));
      }
    }, { message: want });
  });
}
