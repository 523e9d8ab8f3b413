import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCsv } from "../../../core/token/token_file.ts";
import { createObjectPrinter } from "../../output/objects.ts";
import { createRecords } from "../../../tests/support/issued_records.ts";
import { type RecordRow, toRow } from "../../../core/report/record_rows.ts";
import { RECORD_QUALIFIED_KIND } from "../../../client/admin/records.ts";
import { createRecordPrinter } from "./get.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const records = createRecords([{ subject: 'O=a\\,b,CN="x"' }, { requester: { username: "=cmd()" } }, {}]);
const rows: readonly RecordRow[] = records.map((record) => toRow(record, new Map(), NOW));

for (const kind of ["json", "yaml", "name"] as const) {
  test(`createRecordPrinter() prints ${kind} in pages as a list is printed at once`, () => {
    const whole = createObjectPrinter({ kind }, RECORD_QUALIFIED_KIND);
    for (const sizes of [[], [0, 0], [3], [1, 2], [1, 0, 1, 1]]) {
      const printer = createRecordPrinter({ kind }, false);
      let from = 0;
      const pages = sizes.map((size) => printer.printPage(rows.slice(from, from += size)));
      assert.equal(pages.join("") + printer.printEnd(), whole.printList(records.slice(0, from)), sizes.join());
    }
  });
}

test("createRecordPrinter() prints comma-separated values with one heading, quoted, and without formulas", () => {
  const printer = createRecordPrinter({ kind: "csv" }, false);
  const text = printer.printPage(rows.slice(0, 1)) + printer.printPage(rows.slice(1)) + printer.printEnd();
  const parsed = parseCsv(text);
  assert.ok(parsed.ok);
  const [heading = [], ...lines] = parsed.value;
  assert.equal(lines.length, 3);
  assert.equal(lines[0]?.[heading.indexOf("subject")], 'O=a\\,b,CN="x"');
  assert.equal(lines[1]?.[heading.indexOf("requester")], "'=cmd()");
  assert.ok(lines.every((line) => line.length === heading.length));
  assert.equal(createRecordPrinter({ kind: "csv" }, false).printEnd(), text.slice(0, text.indexOf("\n") + 1));
});

test("createRecordPrinter() prints the heading of a table once, and nothing for an empty page", () => {
  const printer = createRecordPrinter(undefined, false);
  assert.equal(printer.printPage([]), "");
  assert.match(
    printer.printPage(rows),
    /^SERIAL +SUBJECT +SIGNER +ISSUED +EXPIRES +STATUS +APPROVED-BY\naaaa00000001 /,
  );
  assert.doesNotMatch(printer.printPage(rows), /SERIAL/);
});
