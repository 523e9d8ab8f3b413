import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import type { Command } from "./command.ts";
import { FLAG_GROUPS } from "./flags.ts";
import { renderHelp } from "./help.ts";

for (const width of [40, 60, 80, 120]) {
  test(`renderHelp() breaks all text but commands and flags at ${width} columns`, () => {
    for (const command of COMMAND_TABLE.commands) {
      for (const line of renderHelp(COMMAND_TABLE, { kind: "command", command }, width).split("\n")) {
        const length = line.replace("\t", " ".repeat(8)).length;
        const isFixed = /^ {2,}/.test(line) && !line.startsWith("  #");
        const hasOneWord = !line.trim().replace(/^# /, "").includes(" ");
        assert.ok(length <= width || isFixed || hasOneWord, `${command.path.join(" ")}: ${line}`);
      }
    }
  });
}

test("renderHelp() of up groups the options, common ones first", () => {
  const up = COMMAND_TABLE.commands.find(({ path }) => path.join(" ") === "up") as Command;
  const titles = [...renderHelp(COMMAND_TABLE, { kind: "command", command: up }).matchAll(/^(.+) Options:$/gm)];
  assert.deepEqual(titles.map(([, title]) => title), [...FLAG_GROUPS, "Global"]);
});

test("renderHelp() of a command with common options only does not group them", () => {
  const approve = COMMAND_TABLE.commands.find(({ path }) => path.join(" ") === "approve") as Command;
  assert.match(renderHelp(COMMAND_TABLE, { kind: "command", command: approve }), /^Options:$/m);
});
