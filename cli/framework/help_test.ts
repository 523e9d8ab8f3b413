import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import type { Command } from "./command.ts";
import { FLAG_GROUPS } from "./flags.ts";
import { flagHeading, renderHelp } from "./help.ts";

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

test("renderHelp() of up shows the options of up, and those of the groups with --all", () => {
  const up = COMMAND_TABLE.commands.find(({ path }) => path.join(" ") === "up") as Command;
  const listTitles = (isAll: boolean) =>
    [...renderHelp(COMMAND_TABLE, { kind: "command", command: up }, 80, isAll).matchAll(/^(.+) Options:$/gm)]
      .map(([, title]) => title);
  const own = Object.keys(FLAG_GROUPS).filter((group) => Object.values(up.flags).some((flag) => flag.group === group));
  assert.deepEqual(listTitles(true), [...own, "Global"]);
  assert.deepEqual(listTitles(false), ["Shared"]);
});

test("renderHelp() of all commands names each of them, in at most 75 lines", () => {
  const text = renderHelp(COMMAND_TABLE, { kind: "program" }, 80, true);
  assert.ok(text.split("\n").length <= 75);
  const names = [...text.matchAll(/^ {2}(?=\S)(.+?)(?: {2}.*)?$/gm)].flatMap(([, name = ""]) => {
    const words = name.split(" ");
    const last = words.pop() ?? "";
    return last.split("|").map((word) => [...words, word].join(" "));
  });
  const paths = COMMAND_TABLE.commands.map(({ path }) => path.join(" "));
  assert.deepEqual(names.sort(), paths.sort());
});

test("the twelve commands of the first day exist", () => {
  const names = COMMAND_TABLE.commands.map(({ path }) => path.join(" "));
  for (const name of COMMAND_TABLE.firstDay) assert.ok(names.includes(name), name);
  assert.equal(COMMAND_TABLE.firstDay.length, 12);
});

test("an option of a group means the same in every command, and the help of options shows each", () => {
  const text = renderHelp(COMMAND_TABLE, { kind: "options" });
  const shared = new Map<string, string>();
  for (const { path, flags } of COMMAND_TABLE.commands) {
    for (const [key, flag] of Object.entries(flags).filter(([, { group }]) => group !== undefined)) {
      const meaning = JSON.stringify(flag);
      assert.equal(shared.get(key) ?? meaning, meaning, `${path.join(" ")}: ${key}`);
      shared.set(key, meaning);
      assert.ok(text.includes(`    ${flagHeading(key, flag)}:\n`), key);
    }
  }
  assert.deepEqual([...text.matchAll(/^(.+) Options:$/gm)].map(([, title]) => title), Object.keys(FLAG_GROUPS));
});
