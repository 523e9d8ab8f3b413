/**
 * Runs `deno doc --lint` over the entries. Fails for types that are not exported, missing types, and top-level exports
 * without a doc comment. Members need no comment.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

const ENTRIES = ["mod.ts", "core/mod.ts", "controllers/mod.ts", "server/mod.ts", "client/mod.ts", "cli/mod.ts"];

const { stderr } = spawnSync(process.execPath, ["doc", "--lint", ...ENTRIES], {
  encoding: "utf8",
  env: { ...process.env, NO_COLOR: "1" },
  maxBuffer: 64 * 1024 * 1024,
});
const findings = [...stderr.matchAll(/^error\[([a-z-]+)\]: (.*)\n\s*--> ([^\n]*?):(\d+):\d+/gm)].map(
  ([, rule, message, file, line]) => ({ rule, message, file: file!, line: Number(line) }),
);
const serious = findings.filter(({ rule, file, line }) => rule !== "missing-jsdoc" || isTopLevel(file, line));
for (const { rule, message, file, line } of serious) process.stdout.write(`${rule}: ${message} (${file}:${line})\n`);
process.stdout.write(`doc-lint: ${serious.length} findings\n`);
process.exit(serious.length === 0 ? 0 : 1);

function isTopLevel(file: string, line: number): boolean {
  const text = readFileSync(file, "utf8").split("\n")[line - 1] ?? "";
  return /^export\b/.test(text);
}
