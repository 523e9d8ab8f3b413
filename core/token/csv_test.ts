import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { parseCsv } from "./token_file.ts";

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
      name: "a bare quote on a later line, behind letters of two bytes",
      text: 'x,y\nß,é"\n',
      want: 'parse error on line 2, column 6: bare " in non-quoted-field',
    },
    {
      name: "text behind a quoted field",
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
