import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { createTempFolder } from "../support/temp.ts";
import { addReasons, formatFailures, readOutcome } from "./junit.ts";

for (
  const { name, report, want } of [
    {
      name: "passing cases",
      report: '<testsuites><testcase name="a"/><testcase name="b -> c"/></testsuites>',
      want: [2, 0, 0],
    },
    {
      name: "a failure, an error and a skipped case",
      report:
        '<testcase name="a"><failure message="x > y"/></testcase><testcase name="b"/><testcase name="c"><error/></testcase>' +
        '<testcase name="d"><skipped/></testcase>',
      want: [1, 2, 1],
    },
    {
      name: "the tests of Deno's suites, which its report has as cases too",
      report: '<testsuites name="deno test"><testcase name="a"/><testcase name="a > b"/><testcase name="a > c"/>' +
        '<testcase name="d"><failure/></testcase><testcase name="d > e"><failure/></testcase>' +
        '<testcase name="f"><failure/></testcase><testcase name="f > g"/>',
      want: [3, 2, 0],
    },
    { name: "a report without cases as a failure", report: "<testsuites/>", want: [0, 1, 0] },
  ] as const
) {
  test(`readOutcome() counts ${name}`, async () => {
    await using folder = await createTempFolder();
    await writeFile(folder.join("report.xml"), report);
    const { passed, failures, skipped } = await readOutcome(folder.join("report.xml"), 0);
    assert.deepEqual([passed, failures.length, skipped.length], want);
  });
}

test("readOutcome() reports a missing report as a failure", async () => {
  const { passed, failures } = await readOutcome("/nowhere/report.xml", 1);
  assert.deepEqual([passed, failures.length], [0, 1]);
  assert.match(failures[0]?.text ?? "", /cannot be read: .*\/nowhere\/report\.xml/);
});

/** A test file with a failing subtest, whose name and message have every character that XML escapes. */
const FAILING = `
import { test } from "node:test";
import assert from "node:assert/strict";
test("one passes", () => {});
test("a <b> & 'c'", async (t) => {
  await t.test("step", () => assert.equal(1, 2, "<no> & \\"no\\""));
});
test("needs more", { skip: "no <root>" }, () => {});
`;

test("readOutcome() finds the failed tests and their messages in a report of the current runtime", async () => {
  await using folder = await createTempFolder();
  const [file, report] = [folder.join("failing_test.mjs"), folder.join("report.xml")];
  await writeFile(file, FAILING);
  const args = "Deno" in globalThis
    ? ["test", "-A", "--no-check", `--junit-path=${report}`, file]
    : ["--test", "--test-isolation=none", "--test-reporter=junit", `--test-reporter-destination=${report}`, file];
  // With this variable, the child would report to the runner of this test.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status } = spawnSync(process.execPath, args, { env });
  assert.equal(status, 1);
  const { passed, failures, skipped } = await readOutcome(report, 1);
  assert.equal(passed, 1);
  // Deno's report does not have the reason.
  const text = "Deno" in globalThis ? "no reason given" : "no <root>";
  assert.deepEqual(skipped.map((skip) => [skip.name.replace(/.* > /, ""), skip.text]), [["needs more", text]]);
  const step = failures.find(({ name }) => name.endsWith("> step"));
  assert.match(step?.name ?? "", /a <b> & 'c' > step$/);
  assert.match(step?.text ?? "", /<no> & "no"/);
});

test("readOutcome() reports a runner that fails without a failing test as a failure", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("report.xml"), '<testcase name="a"/>');
  const { passed, failures } = await readOutcome(folder.join("report.xml"), 1);
  assert.deepEqual([passed, failures.length], [1, 1]);
  assert.match(failures[0]?.text ?? "", /ended with 1/);
});

test("addReasons() takes a reason that Deno's report lacks from Node's", () => {
  const text = "no reason given";
  const skipped = [{ name: "a > b > c", text }, { name: "c", text }, { name: "b > c", text: "no root" }];
  assert.deepEqual(addReasons(skipped).map((one) => one.text), ["no root", text, "no root"]);
});

test("formatFailures() prints each name and the first lines of its message", () => {
  const failures = [{ name: "a", text: "one\ntwo\nthree" }, { name: "b", text: "one" }];
  assert.equal(formatFailures(failures, 2), "FAILED: a\n    one\n    two\n    …\nFAILED: b\n    one\n");
});
