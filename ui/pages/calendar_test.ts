import assert from "node:assert/strict";
import { test } from "node:test";
import "../../scripts/jsx_on_node.ts";
import { createRecords, type RecordEdit } from "../../tests/support/issued_records.ts";
import type { ExpiryCalendar } from "./calendar.tsx";
import { addReplacement, type Replacements, toRow } from "../../core/report/record_rows.ts";

const { createExpiryCalendar } = await import("./calendar.tsx");

const NOW = new Date("2026-11-28T10:00:00Z");

function createCalendar(edits: readonly RecordEdit[]): ExpiryCalendar {
  const records = createRecords(edits);
  const replacements: Replacements = new Map();
  for (const record of records) addReplacement(replacements, record);
  return createExpiryCalendar(records.map((record) => toRow(record, replacements, NOW)), NOW);
}

test("createExpiryCalendar() puts each expiry on its day, with weeks that begin on Monday", () => {
  const { months } = createCalendar([
    { notAfter: "2026-12-24T23:59:59Z" },
    { notAfter: "2026-12-24T00:00:00Z" },
    { notAfter: "2028-02-29T12:00:00Z" },
    { notAfter: "2027-02-01T00:00:00Z" },
  ]);
  assert.deepEqual(months.map(({ key, title, count }) => [key, title, count]), [
    ["2026-12", "December 2026", 2],
    ["2027-02", "February 2027", 1],
  ]);
  const [december, february] = months;
  // 1 December 2026 is a Tuesday, 1 February 2027 a Monday.
  assert.deepEqual(december?.weeks[0]?.map((day) => day?.day), [undefined, 1, 2, 3, 4, 5, 6]);
  assert.equal(december?.weeks.length, 5);
  const days = december?.weeks.flat().filter((day) => day !== undefined && day.rows.length > 0);
  assert.deepEqual(days?.map((day) => [day?.date, day?.rows.map(({ record }) => record.spec.sequence)]), [
    ["2026-12-24", [2, 1]],
  ]);
  assert.deepEqual(february?.weeks.map((week) => week.length), [7, 7, 7, 7]);
});

for (
  const { name, edits, want } of [
    { name: "an end today", edits: [{ notAfter: "2026-11-28T10:00:01Z" }], want: { months: ["2026-11"] } },
    { name: "an end in the last month", edits: [{ notAfter: "2027-11-30T23:59:59Z" }], want: { months: ["2027-11"] } },
    { name: "an end after a year", edits: [{ notAfter: "2027-12-01T00:00:00Z" }], want: { later: [[2027, 1]] } },
    { name: "an end without a date", edits: [{ notAfter: null }], want: {} },
    { name: "an end three weeks ago", edits: [{ notAfter: "2026-11-07T00:00:00Z" }], want: { missed: 1 } },
    { name: "an end two months ago", edits: [{ notAfter: "2026-09-28T00:00:00Z" }], want: {} },
    {
      name: "ends of replaced and of revoked certificates",
      edits: [
        { notAfter: "2026-12-01T00:00:00Z" },
        { notAfter: "2026-12-02T00:00:00Z", replaces: "0000000001" },
        {
          notAfter: "2026-12-03T00:00:00Z",
          status: { revocation: { name: "serial:1", reason: "unspecified", time: null } },
        },
      ],
      want: { months: ["2026-12"], omitted: 2 },
    },
    {
      name: "a replaced certificate that has expired",
      edits: [{ notAfter: "2026-11-20T00:00:00Z" }, { notAfter: "2028-11-20T00:00:00Z", replaces: "0000000001" }],
      want: { later: [[2028, 1]] },
    },
  ] satisfies readonly {
    name: string;
    edits: RecordEdit[];
    want: { months?: string[]; later?: number[][]; missed?: number; omitted?: number };
  }[]
) {
  test(`createExpiryCalendar() places ${name}`, () => {
    const { months, later, missed, omitted } = createCalendar(edits);
    assert.deepEqual(
      {
        months: months.map(({ key }) => key),
        later: later.map(({ year, count }) => [year, count]),
        missed: missed.length,
        omitted,
      },
      { months: [], later: [], missed: 0, omitted: 0, ...want },
    );
  });
}
