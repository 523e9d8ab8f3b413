import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { parseCsv, parseTokenFile } from "./token_file.ts";

const PATH = "/etc/tokens.csv";

function read(text: string): unknown {
  const parsed = parseTokenFile(text, PATH);
  if (!parsed.ok) return parsed.error;
  return parsed.value.entries.map(({ token, username, uid, groups }) => [token.reveal(), username, uid, groups]);
}

for (
  const { name, text, want } of [
    { name: "three columns", text: "tok,u,1\n", want: [["tok", "u", "1", []]] },
    { name: "groups in one quoted field", text: 'tok,u,1,"g1,g2"\n', want: [["tok", "u", "1", ["g1", "g2"]]] },
    { name: "groups are not trimmed", text: 'tok,u,1,"g1, g2"\n', want: [["tok", "u", "1", ["g1", " g2"]]] },
    { name: "unquoted groups lose all but the first", text: "tok,u,1,g1,g2\n", want: [["tok", "u", "1", ["g1"]]] },
    { name: "an empty fourth column is one empty group", text: "tok,u,1,\n", want: [["tok", "u", "1", [""]]] },
    { name: "an empty token is skipped", text: ",u,1\ntok,v,2\n", want: [["tok", "v", "2", []]] },
    { name: "the last of two equal tokens wins", text: "tok,u,1\ntok,v,2\n", want: [["tok", "v", "2", []]] },
    { name: "empty user and uid", text: "tok,,\n", want: [["tok", "", "", []]] },
    { name: "an empty file", text: "", want: [] },
    {
      name: "two columns",
      text: "tok,u,1\ntok2,v\n",
      want: "token file '/etc/tokens.csv' must have at least 3 columns (token, user name, user uid), found 2",
    },
    { name: "broken quotes", text: 'a"b,u,1\n', want: 'parse error on line 1, column 2: bare " in non-quoted-field' },
  ]
) {
  test(`parseTokenFile() reads: ${name}`, () => assert.deepEqual(read(text), want));
}

test("parseTokenFile() warns of empty and duplicate tokens by record, without showing them", () => {
  const parsed = parseTokenFile("tok,u,1\n\n,v,2\ntok,w,3\n", PATH);
  assert.deepEqual(parsed.ok && parsed.value.warnings, [
    "empty token has been found in token file '/etc/tokens.csv', record number '2'",
    "duplicate token has been found in token file '/etc/tokens.csv', record number '3'",
  ]);
});

/** Rows of Go's `encoding/csv/reader_test.go` that a reader with default settings answers, restated. */
for (
  const { name, text, want } of [
    { name: "a simple line", text: "a,b,c\n", want: [["a", "b", "c"]] },
    { name: "a line without end", text: "a,b,c", want: [["a", "b", "c"]] },
    { name: "carriage returns", text: "a,b\r\nc,d\r\n", want: [["a", "b"], ["c", "d"]] },
    { name: "a bare carriage return inside", text: "a,b\rc,d\r\n", want: [["a", "b\rc", "d"]] },
    { name: "a carriage return at the end", text: "a,b\r", want: [["a", "b"]] },
    { name: "empty lines", text: "a,b\n\n\r\nc,d\n\n", want: [["a", "b"], ["c", "d"]] },
    { name: "nothing", text: "", want: [] },
    { name: "empty fields", text: ",,\n", want: [["", "", ""]] },
    { name: "spaces are kept", text: " a , b\n", want: [[" a ", " b"]] },
    { name: "a line of spaces is a record", text: " \n", want: [[" "]] },
    { name: "no comment syntax", text: "#a,b\n", want: [["#a", "b"]] },
    { name: "quotes", text: '"a,b",c\n', want: [["a,b", "c"]] },
    { name: "quoted quotes", text: '"a ""b"" c",d\n', want: [['a "b" c', "d"]] },
    { name: "an empty quoted field", text: '"",a\n', want: [["", "a"]] },
    { name: "a field over two lines", text: '"a\nb",c\n', want: [["a\nb", "c"]] },
    { name: "a field over two lines with carriage returns", text: '"a\r\nb",c\r\n', want: [["a\nb", "c"]] },
    { name: "records of different length", text: "a\nb,c\n", want: [["a"], ["b", "c"]] },
  ]
) {
  test(`parseCsv() reads: ${name}`, () => assert.deepEqual(parseCsv(text), { ok: true, value: want }));
}

for (
  const { name, text, want } of [
    {
      name: "a bare quote",
      text: 'a "word","b"\n',
      want: 'parse error on line 1, column 3: bare " in non-quoted-field',
    },
    {
      name: "a bare quote on a later line, after letters of two bytes",
      text: 'x,y\nß,é"\n',
      want: 'parse error on line 2, column 6: bare " in non-quoted-field',
    },
    {
      name: "text after a quoted field",
      text: '"a"b,c\n',
      want: 'parse error on line 1, column 3: extraneous or missing " in quoted-field',
    },
    {
      name: "a quote that is never closed",
      text: '"a\n',
      want: 'parse error on line 1, column 4: extraneous or missing " in quoted-field',
    },
    {
      name: "a quote that is never closed over two lines",
      text: '"a\nb',
      want: 'record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field',
    },
    {
      name: "the same without a line end",
      text: '"a',
      want: 'parse error on line 1, column 3: extraneous or missing " in quoted-field',
    },
    {
      name: "a quote that is closed wrongly on the next line",
      text: '"a\nb" c\n',
      want: 'record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field',
    },
  ]
) {
  test(`parseCsv() refuses: ${name}`, () => assert.deepEqual(parseCsv(text), { ok: false, error: want }));
}

test("parseCsv() reads back any quoted text", () => {
  const field = fc.string().map((text) => text.replaceAll("\r", ""));
  fc.assert(fc.property(fc.array(fc.array(field, { minLength: 1 })), (records) => {
    const text = records.map((record) => record.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")).join(
      "\n",
    );
    assert.deepEqual(parseCsv(text), { ok: true, value: records });
  }));
});

test("parseCsv() returns, whatever the text", () => {
  fc.assert(fc.property(fc.stringMatching(/^[a",\n\r ]*$/), (text) => void parseCsv(text)));
});
