import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../support/command_line.ts";
import { readFlags } from "./flags.ts";

for (
  const { args, kills, minKills, seconds } of [
    { args: [], kills: 200, minKills: 25, seconds: 90 },
    { args: ["--binary"], kills: 200, minKills: 25, seconds: 90 },
    { args: ["--kills", "200"], kills: 200, minKills: 200, seconds: 3600 },
    { args: ["--kills", "200", "--seconds", "60"], kills: 200, minKills: 200, seconds: 60 },
    { args: ["--seconds", "60"], kills: 200, minKills: 1, seconds: 60 },
    { args: ["--servers", "3"], kills: 200, minKills: 1, seconds: 90 },
    { args: ["--servers", "3", "--kills", "40"], kills: 40, minKills: 40, seconds: 3600 },
  ]
) {
  test(`readFlags() requires ${minKills} kills of at most ${kills} for ${JSON.stringify(args.join(" "))}`, () => {
    const flags = readFlags(args);
    assert.deepEqual([flags.kills, flags.minKills, flags.seconds], [kills, minKills, seconds]);
  });
}

test("readFlags() refuses values that are not numbers", () => {
  assert.throws(() => readFlags(["--kills", "many"]), UsageError);
  assert.throws(() => readFlags(["--servers", "0"]), UsageError);
});

for (
  const { args, faults } of [
    { args: [], faults: ["kill"] },
    { args: ["--faults", "pause,kill"], faults: ["kill", "pause"] },
    { args: ["--faults", "all"], faults: ["kill", "pause", "clock", "partition", "upgrade"] },
    {
      args: ["--faults", "all", "--servers", "3"],
      faults: ["kill", "pause", "clock", "partition", "compact", "upgrade"],
    },
  ]
) {
  test(`readFlags() chooses ${faults.join(", ")} for ${JSON.stringify(args.join(" "))}`, () => {
    assert.deepEqual(readFlags(args).faults, faults);
  });
}

for (const faults of ["", "flood", "kill,flood", "compact"]) {
  test(`readFlags() refuses --faults ${JSON.stringify(faults)} for one server`, () => {
    assert.throws(() => readFlags(["--faults", faults]), UsageError);
  });
}
