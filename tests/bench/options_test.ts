import assert from "node:assert/strict";
import { test } from "node:test";
import { HELP, parseOptions, UsageError } from "./options.ts";
import { COMMANDS } from "./section.ts";

test("parseOptions() takes the table, three rounds and both forms by default", () => {
  assert.deepEqual(parseOptions([]), {
    command: "table",
    words: [],
    rounds: 3,
    forms: ["sources", "file"],
    scale: 1,
    seconds: 60,
    minutes: 10,
    json: undefined,
    writes: false,
  });
});

test("parseOptions() distinguishes a command from a word of a line", () => {
  const growth = parseOptions(["growth", "nodes", "--rounds", "2", "--form=sources", "--write"]);
  assert.equal(growth?.command, "growth");
  assert.deepEqual(growth?.words, ["nodes"]);
  assert.equal(growth?.rounds, 2);
  assert.deepEqual(growth?.forms, ["sources"]);
  assert.equal(growth?.writes, true);
  const table = parseOptions(["nodes", "lifted", "--scale", "0.1", "--json", "out.json"]);
  assert.equal(table?.command, "table");
  assert.deepEqual(table?.words, ["nodes", "lifted"]);
  assert.equal(table?.scale, 0.1);
  assert.equal(table?.json, "out.json");
  assert.deepEqual(parseOptions(["idle"])?.forms, ["file"]);
  const etcd = parseOptions(["etcd", "3", "servers"]);
  assert.deepEqual([etcd?.command, etcd?.words, etcd?.rounds, etcd?.forms], ["etcd", ["3", "servers"], 3, ["file"]]);
});

test("parseOptions() refuses unknown words", () => {
  const wrong = [
    ["--rounds", "0"],
    ["--rounds", "1.5"],
    ["--rounds", "many"],
    ["--scale", "-1"],
    ["--minutes", ""],
    ["--form", "npm"],
    ["--nodes", "5"],
    ["profile", "storm", "--write"],
  ];
  for (const args of wrong) assert.throws(() => parseOptions(args), UsageError, args.join(" "));
});

test("the help names every command and option, and printing it runs nothing", () => {
  for (const args of [["--help"], ["growth", "-h"]]) assert.equal(parseOptions(args), undefined);
  for (const command of COMMANDS.filter((name) => name !== "table")) assert.ok(HELP.includes(`bench ${command}`));
  for (const option of ["rounds", "form", "scale", "seconds", "minutes", "json", "write"]) {
    assert.ok(HELP.includes(`--${option}`), option);
  }
});
