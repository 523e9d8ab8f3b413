import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigFile } from "./config_file.ts";
import { integerFlag, listFlag, switchFlag, textFlag } from "./flags.ts";
import fc from "../../tests/support/properties.ts";

const known = {
  dataDir: textFlag({ summary: "Folder." }),
  securePort: integerFlag({ summary: "Port." }),
  tlsSan: listFlag({ summary: "Names." }),
  autoApprove: switchFlag({ summary: "Approve." }),
  force: switchFlag({ summary: "Force." }),
};
const parse = (text: string) => parseConfigFile(text, "c.yaml", known, (key) => key !== "force");
const head = "apiVersion: tlsboot/v1alpha1\nkind: Config\n";

test("parseConfigFile() reads scalars and lists as texts", () => {
  const text = `${head}dataDir: ./x\nsecurePort: 7443\ntlsSan: [a, b]\nautoApprove: true\n`;
  assert.deepEqual(parse(text), {
    raw: { dataDir: ["./x"], securePort: ["7443"], tlsSan: ["a", "b"], autoApprove: ["true"] },
    faults: [],
  });
});

for (
  const { name, text, want } of [
    {
      name: "an unknown key with the nearest one",
      text: `${head}dataDri: x\n`,
      want: ['config file "c.yaml": unknown key "dataDri", did you mean "dataDir"?'],
    },
    {
      name: "wrong version and kind, together",
      text: "apiVersion: v1\nkind: Pod\n",
      want: [
        'config file "c.yaml": apiVersion must be "tlsboot/v1alpha1"',
        'config file "c.yaml": kind must be "Config"',
      ],
    },
    {
      name: "a flag for the command line only",
      text: `${head}force: true\n`,
      want: ['config file "c.yaml": --force is for the command line only'],
    },
    {
      name: "a mapping as a value",
      text: `${head}dataDir: {a: 1}\n`,
      want: ['config file "c.yaml": dataDir: want a value or a list of values'],
    },
    {
      name: "a list for a flag that takes one value",
      text: `${head}dataDir: [a, b]\n`,
      want: ['config file "c.yaml": dataDir: want one value, not a list'],
    },
    { name: "a document that is not a mapping", text: "- a\n", want: ['config file "c.yaml": want a mapping'] },
  ]
) {
  test(`parseConfigFile() reports ${name}`, () => {
    assert.deepEqual(parse(text).faults, want);
  });
}

test("parseConfigFile() reports broken YAML", () => {
  assert.match(parse("a: [").faults[0] ?? "", /^config file "c.yaml": not YAML: /);
});

test("parseConfigFile() never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => void parse(text)));
});
