import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import { findVariable } from "./command.ts";
import { flagName } from "./flags.ts";
import { manName, manTopics, preformatted, renderMan, roffText } from "./man.ts";
import fc, { anyText } from "../../tests/support/properties.ts";

const EDITION = { version: "1.2.3", date: "2026-01-31" };
const pages = manTopics(COMMAND_TABLE).map((topic) => ({
  topic,
  name: manName(COMMAND_TABLE, topic),
  text: renderMan(COMMAND_TABLE, topic, EDITION),
}));

/** The macros that pages use. The interoperability suite checks the pages with groff and mandoc. */
const MACRO = /^\.(?:PP|TP|RE|fi|nf|nh|ad l|RS 4|(?:SH|SS) (?:"[^"]+"|[A-Z ]+)|TH(?: "[^"]*"){5}|\\" .*)$/;

for (const { name, text } of pages) {
  test(`renderMan() of ${name} uses only known macros, ASCII and closed blocks`, () => {
    let depth = 0;
    for (const line of text.trimEnd().split("\n")) {
      assert.match(line, /^[\x20-\x7e]+$/);
      if (line.startsWith(".")) assert.match(line, MACRO);
      else assert.doesNotMatch(line, /^'/);
      if (line === ".nf") depth += 1;
      if (line === ".fi") depth -= 1;
      assert.ok(depth === 0 || depth === 1);
      assert.equal(line.split("\\fR").length, line.split(/\\f[BI]/).length, `fonts end: ${line}`);
    }
    assert.equal(depth, 0);
    assert.match(text, /^\.\\" [^\n]+\n\.TH "[A-Z\\-]+" "1" "2026-01-31" "tlsboot 1\.2\.3" "tlsboot Manual"\n/);
  });
}

test("manTopics() has each page once, the program's first", () => {
  const names = pages.map(({ name }) => name);
  assert.equal(names[0], "tlsboot");
  assert.equal(new Set(names).size, names.length);
  for (const name of ["tlsboot-approver", "tlsboot-policy-test", "tlsboot-get", "tlsboot-get-csr"]) {
    assert.ok(names.includes(name), name);
  }
});

test("renderMan() lists every flag with its variable and every exit code, and refers to pages that exist", () => {
  const names = new Set(pages.map(({ name }) => name));
  for (const { topic, name, text } of pages) {
    const plain = text.replaceAll("\\-", "-").replaceAll(/\\f[BIR]/g, "");
    if (topic.kind === "command") {
      for (const [key, flag] of Object.entries(topic.command.flags)) {
        assert.ok(plain.includes(`--${flagName(key)}`), `${name}: --${flagName(key)}`);
        assert.equal(
          plain.includes(`Environment: TLSBOOT_${flagName(key).replaceAll("-", "_").toUpperCase()}.`),
          findVariable(topic.command, key, flag) !== undefined,
          `${name}: the variable of --${flagName(key)}`,
        );
      }
      assert.match(plain, /\n\.SH EXIT STATUS\n\.TP\n0\n/);
    }
    for (const [, mentioned] of plain.matchAll(/^(tlsboot[a-z-]*)\(1\)/gm)) assert.ok(names.has(mentioned!), mentioned);
  }
});

test("renderMan() leaves an unknown date empty", () => {
  const text = renderMan(COMMAND_TABLE, { kind: "program" }, { version: "1.2.3", date: "" });
  assert.match(text, /^\.TH "TLSBOOT" "1" "" /m);
});

for (
  const { text, want } of [
    { text: "plain words", want: "plain words" },
    { text: ".SH is no heading", want: "\\&.SH is no heading" },
    { text: "'br is no break", want: "\\(aqbr is no break" },
    { text: "a\\fBb", want: "a\\efBb" },
    { text: "--data-dir", want: "\\-\\-data\\-dir" },
    { text: "…→", want: "\\[u2026]\\[u2192]" },
    { text: 'say "no"', want: "say \\(dqno\\(dq" },
    { text: "a\nb\tc", want: "a b c" },
  ]
) test(`roffText() formats ${JSON.stringify(text)} as plain text`, () => assert.equal(roffText(text), want));

test("roffText() returns one line without macros, whatever the text", () => {
  fc.assert(fc.property(anyText(), (text) => {
    const roff = roffText(text);
    assert.match(roff, /^(?![.'])[\x20-\x7e]*$/);
    assert.doesNotMatch(roff.replace(/\\(?:e|-|&|\((?:aq|dq|ga|ha|ti)|\[u[0-9A-F]{4,6}\])/g, ""), /\\/);
  }));
});

test("preformatted() ends each block that it begins", () => {
  assert.deepEqual(preformatted("a\n.b"), [".PP", ".RS 4", ".nf", "\\fBa\\fR", "\\fB\\&.b\\fR", ".fi", ".RE"]);
});
