/** Checks the statements of docs/guides/monitoring.md about alerts. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

test("docs/guides/monitoring.md: each alert has a section and names the page, and sections name alerts", async () => {
  const page = await readFile("docs/guides/monitoring.md", "utf8");
  const rules = await readFile("packaging/mixin/tlsboot.rules.yaml", "utf8");
  const find = (pattern: RegExp, text: string) => [...text.matchAll(pattern)].map(([, found = ""]) => found);
  const alerts = find(/- alert: "(\w+)"/g, rules);
  assert.ok(alerts.length > 5);
  assert.deepEqual(find(/^### (Tlsboot\w+)\n\n\S/gm, page), alerts);
  assert.equal(find(/^ +runbook: "(tlsboot guide monitoring)"$/gm, rules).length, alerts.length);
});
