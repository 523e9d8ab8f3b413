/** Checks the statements of docs/guides/monitoring.md about alerts. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

test("docs/guides/monitoring.md: each alert has a row, and rows name existing alerts", async () => {
  const page = await readFile("docs/guides/monitoring.md", "utf8");
  const rules = await readFile("packaging/prometheus/tlsboot.rules.yaml", "utf8");
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
  const rows = page.split("\n").filter((line) => line.startsWith("|")).join("\n");
  const named = [...rows.matchAll(/`(Tlsboot\w+)`/g)].map(([, name = ""]) => name);
  assert.ok(alerts.length > 5);
  assert.deepEqual(named.sort(), alerts.sort());
});
