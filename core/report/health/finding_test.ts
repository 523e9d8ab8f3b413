import assert from "node:assert/strict";
import { test } from "node:test";
import { type Finding, formatTextfile } from "./finding.ts";

const FINDINGS: readonly Finding[] = [
  { check: "expiry", target: "data", severity: "warning", message: "expires soon" },
  { check: "clock", target: "data", severity: "error", message: "late" },
];

test("formatTextfile() counts a target that could not be checked as a read error and as an error", () => {
  const contents = { findings: FINDINGS, certificates: [], unreadableFiles: 1, uncheckedTargets: 2, now: new Date(0) };
  const text = formatTextfile(contents);
  assert.match(text, /^x509_read_errors 3$/m);
  assert.match(text, /^tlsboot_doctor_findings\{severity="error"\} 3$/m);
  assert.match(text, /^tlsboot_doctor_findings\{severity="warning"\} 1$/m);
});
