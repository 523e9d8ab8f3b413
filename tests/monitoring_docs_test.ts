/** Checks the statements of docs/guides/monitoring.md about alerts and about a token for Prometheus. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { runProgram } from "./support/child.ts";
import { createTempFolder } from "./support/temp.ts";

test("docs/guides/monitoring.md: each alert has a row, and rows name existing alerts", async () => {
  const page = await readFile("docs/guides/monitoring.md", "utf8");
  const rules = await readFile("packaging/prometheus/tlsboot.rules.yaml", "utf8");
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
  const rows = page.split("\n").filter((line) => line.startsWith("|")).join("\n");
  const named = [...rows.matchAll(/`(Tlsboot\w+)`/g)].map(([, name = ""]) => name);
  assert.ok(alerts.length > 5);
  assert.deepEqual(named.sort(), alerts.sort());
});

test("docs/guides/monitoring.md: the token for Prometheus is in two files of their owner alone", async () => {
  await using folder = await createTempFolder();
  const page = await readFile("docs/guides/monitoring.md", "utf8");
  const [, recipe = ""] = /```sh\n([^`]*tokens\.csv[^`]*)```/.exec(page) ?? [];
  const { code, stderr } = await runProgram("sh", ["-c", `umask 022; cd "$0"; ${recipe}`, folder.path]);
  assert.deepEqual([code, stderr], [0, ""]);
  const token = (await readFile(folder.join("tlsboot.token"), "utf8")).trim();
  assert.match(token, /^[0-9a-f]{32}$/);
  const line = await readFile(folder.join("tokens.csv"), "utf8");
  assert.equal(line, `${token},prometheus,prometheus,"system:monitoring"\n`);
  for (const name of ["tokens.csv", "tlsboot.token"]) assert.equal((await stat(folder.join(name))).mode & 0o777, 0o600);
});
