import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDocument } from "yaml";
import { describeYamlFault } from "./yaml_fault.ts";

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
  test(`describeYamlFault() tells in one line what is wrong with ${text}`, () => {
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
