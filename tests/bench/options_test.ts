import assert from "node:assert/strict";
import { test } from "node:test";
import { positiveNumber, UsageError } from "../support/command_line.ts";
import { HELP, parseOptions } from "./options.ts";
import { COMMANDS } from "./section.ts";

test("parseOptions() selects five rounds of the table by default", () => {
  assert.deepEqual(parseOptions([]), {
    command: "table",
    words: [],
    rounds: 5,
    scale: 1,
    minutes: 10,
    writes: false,
  });
});

test("parseOptions() distinguishes a command from a word of a line", () => {
  const growth = parseOptions(["growth", "nodes", "--rounds", "2", "--write"]);
  assert.equal(growth?.command, "growth");
  assert.deepEqual(growth?.words, ["nodes"]);
  assert.equal(growth?.rounds, 2);
  assert.equal(growth?.writes, true);
  const table = parseOptions(["nodes", "lifted", "--scale", "0.1"]);
  assert.equal(table?.command, "table");
  assert.deepEqual(table?.words, ["nodes", "lifted"]);
  assert.equal(table?.scale, 0.1);
});

test("parseOptions() rejects unknown words", () => {
  const wrong = [
    ["--rounds", "0"],
    ["--rounds", "1.5"],
    ["--rounds", "many"],
    ["--scale", "-1"],
    ["--minutes", ""],
    ["--nodes", "5"],
    ["profile", "storm", "--write"],
  ];
  assert.throws(() => positiveNumber("scale", "2", 1), UsageError);
  for (const args of wrong) assert.throws(() => parseOptions(args), UsageError, args.join(" "));
});

test("HELP lists every command and option, and --help runs nothing", () => {
  for (const args of [["--help"], ["growth", "-h"]]) assert.equal(parseOptions(args), undefined);
  for (const command of COMMANDS.filter((name) => name !== "table")) assert.ok(HELP.includes(`bench ${command}`));
  for (const option of ["rounds", "scale", "minutes", "write"]) {
    assert.ok(HELP.includes(`--${option}`), option);
  }
});
