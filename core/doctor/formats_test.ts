import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "./finding.ts";
import { formatTap, formatTextfile } from "./formats.ts";

const FINDINGS: readonly Finding[] = [
  { check: "chain", target: "a#b", severity: "ok", message: "fine" },
  { check: "backup", target: "data", severity: "skipped", message: "no backup\nwas found" },
  { check: "expiry", target: "data", severity: "warning", message: 'it says "x"' },
  { check: "clock", target: "data", severity: "error", message: "late", fix: "date --set='now'" },
];

test("formatTap() prints TAP 14: warnings are TODO unless they count, and nothing ends a line or begins a directive", () => {
  assert.equal(
    formatTap(FINDINGS, false),
    `TAP version 14
1..4
ok 1 - a\\#b: chain
ok 2 - data: backup # SKIP no backup was found
not ok 3 - data: expiry # TODO it says "x"
  ---
  severity: warning
  message: "it says \\"x\\""
  ...
not ok 4 - data: clock
  ---
  severity: error
  message: "late"
  fix: "date --set='now'"
  ...
`,
  );
  assert.match(formatTap(FINDINGS, true), /^not ok 3 - data: expiry$/m);
});

test("formatTextfile() counts a target that could not be checked as a read error and as an error", () => {
  const contents = { findings: FINDINGS, certificates: [], unreadableFiles: 1, uncheckedTargets: 2, now: new Date(0) };
  const text = formatTextfile(contents);
  assert.match(text, /^x509_read_errors 3$/m);
  assert.match(text, /^tlsboot_doctor_findings\{severity="error"\} 3$/m);
  assert.match(text, /^tlsboot_doctor_findings\{severity="warning"\} 1$/m);
});
