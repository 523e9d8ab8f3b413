import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createTempFolder } from "../tests/support/temp.ts";
import { readCounts } from "./_junit.ts";

for (
  const { name, report, want } of [
    {
      name: "passing cases",
      report: '<testsuites><testcase name="a"/><testcase name="b -> c"/></testsuites>',
      want: [2, 0],
    },
    {
      name: "a failing, an erring and a skipped case",
      report:
        '<testcase name="a"><failure message="x > y"/></testcase><testcase name="b"/><testcase name="c"><error/></testcase>' +
        '<testcase name="d"><skipped/></testcase>',
      want: [1, 3],
    },
    { name: "no case at all, as a failure", report: "<testsuites/>", want: [0, 1] },
  ] as const
) {
  test(`readCounts() counts ${name}`, async () => {
    await using folder = await createTempFolder();
    await writeFile(folder.join("report.xml"), report);
    const { passed, failed } = await readCounts(folder.join("report.xml"));
    assert.deepEqual([passed, failed], want);
  });
}

test("readCounts() takes a missing report for a failure", async () => {
  assert.deepEqual(await readCounts("/nowhere/report.xml"), { passed: 0, failed: 1 });
});
