import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import {
  atMostOneOf,
  checkRules,
  describeRule,
  exactlyOneOf,
  excludes,
  getItems,
  listExcluded,
  needs,
  type Rule,
  together,
  whenTyped,
} from "./rules.ts";
import { UsageError } from "../exit_code.ts";

const args = [{ name: "NAME" }];

/** Checks a rule for a command line: names of flags that were typed, and `NAME` for an argument. */
function check(rule: Rule, typed: readonly string[]): string | undefined {
  const flags = typed.filter((item) => item !== "NAME");
  return findFault({ rules: [rule], args }, {
    args: typed.includes("NAME") ? ["n1"] : [],
    settings: Object.fromEntries(flags.map((key) => [key, "value"])),
    origins: Object.fromEntries(flags.map((key) => [key, `--${key}`])),
  })?.message;
}

/** Returns the error that `checkRules` throws. */
function findFault(...given: Parameters<typeof checkRules>): UsageError | undefined {
  try {
    checkRules(...given);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error;
  }
}

interface Case {
  readonly rule: Rule;
  readonly text: string;
  readonly right: readonly (readonly string[])[];
  /** The typed flags and arguments, by the expected fault. */
  readonly wrong: Readonly<Record<string, readonly string[]>>;
}

const CASES: readonly Case[] = [
  {
    rule: atMostOneOf("a", "b", "NAME"),
    text: "--a, --b and NAME exclude each other",
    right: [[], ["a"], ["NAME"]],
    wrong: { "--b and NAME exclude each other": ["b", "NAME"], "--a and --b exclude each other": ["a", "b"] },
  },
  {
    rule: exactlyOneOf("NAME", "a"),
    text: "give NAME or --a",
    right: [["a"], ["NAME"]],
    wrong: { "give NAME or --a": [], "NAME and --a exclude each other": ["a", "NAME"] },
  },
  {
    rule: excludes("NAME", "a", "b"),
    text: "NAME excludes --a and --b",
    right: [[], ["NAME"], ["a", "b"]],
    wrong: {
      "NAME and --b exclude each other": ["NAME", "b"],
      "NAME and --a exclude each other\nNAME and --b exclude each other": ["b", "NAME", "a"],
    },
  },
  {
    rule: together("a", "b"),
    text: "--a and --b go together",
    right: [[], ["a", "b"]],
    wrong: { "--a and --b go together": ["b"] },
  },
  {
    rule: needs(["a", "b"], "c", "NAME"),
    text: "--a and --b need --c or NAME",
    right: [[], ["c"], ["a", "c"], ["b", "NAME"]],
    wrong: { "--b needs --c or NAME": ["b"], "--a needs --c or NAME": ["a", "b"] },
  },
];

for (const { rule, text, right, wrong } of CASES) {
  test(`checkRules(): ${text}`, () => {
    assert.equal(describeRule(rule), text);
    for (const typed of right) assert.equal(check(rule, typed), undefined, typed.join(" "));
    for (const [fault, typed] of Object.entries(wrong)) assert.equal(check(rule, typed), fault);
  });
}

test("checkRules() ignores switches that are off, empty lists and defaults", () => {
  const given = {
    args: [],
    settings: { a: false, b: "value", d: [] },
    origins: { a: "--a", b: "default", d: "--d" },
  };
  checkRules({ rules: [atMostOneOf("a", "b"), needs(["a", "b", "d"], "c")], args }, given);
});

test("checkRules() counts a flag with a value in the rule only when it has that value", () => {
  const rules = [needs("a", "b=x", "b=y"), excludes("b=-", "a", "NAME")];
  assert.deepEqual(rules.map(describeRule), ["--a needs --b=x or --b=y", "--b=- excludes --a and NAME"]);
  assert.deepEqual(rules.flatMap(getItems), ["a", "b", "b", "b", "a", "NAME"]);
  const find = (b: string, ...origins: readonly string[]) =>
    findFault({ rules, args }, {
      args: [],
      settings: { a: "1", b },
      origins: Object.fromEntries(origins.map((key) => [key, `--${key}`])),
    })?.message;
  assert.equal(find("y", "a", "b"), undefined);
  assert.equal(find("z", "b"), undefined);
  assert.equal(find("x", "a"), "--a needs --b=x or --b=y", "a default does not count");
  assert.equal(find("-", "a", "b"), "--a needs --b=x or --b=y\n--b=- and --a exclude each other");
});

test("checkRules() names the origin of a setting", () => {
  const given = { args: [], settings: { a: "x", b: "y" }, origins: { a: 'config file "f": a', b: "TLSBOOT_B" } };
  const fault = findFault({ rules: [atMostOneOf("a", "b")], args }, given);
  assert.equal(fault?.message, 'config file "f": a and TLSBOOT_B exclude each other');
  assert.equal(
    findFault({ rules: [needs("a", "c"), needs("b", "c")], args }, given)?.message,
    'config file "f": a needs --c\nTLSBOOT_B needs --c',
  );
});

test("checkRules() reports every broken rule", () => {
  const given = { args: [], settings: { a: "x" }, origins: { a: "--a" } };
  const fault = findFault({ rules: [together("a", "b"), needs("a", "c")], args }, given);
  assert.equal(fault?.message, "--a and --b go together\n--a needs --c");
});

test("checkRules() ignores other origins for a rule with whenTyped(), and gives the rule's hint", () => {
  const rules = [whenTyped(excludes("a", "b", "NAME"), "leave one out"), whenTyped(needs("b", "c"))];
  const settings = { a: "x", b: "y" };
  checkRules({ rules, args }, { args: [], settings, origins: { a: "--a", b: "TLSBOOT_B" } });
  const fault = findFault({ rules, args }, { args: ["n1"], settings, origins: { a: "--a", b: "TLSBOOT_B" } });
  assert.deepEqual([fault?.message, fault?.hint], ["--a and NAME exclude each other", "leave one out"]);
  const typed = findFault({ rules, args }, { args: [], settings, origins: { a: "--a", b: "--b" } });
  assert.equal(typed?.message, "--a and --b exclude each other\n--b needs --c");
});

test("listExcluded() lists the flags that the given flags exclude", () => {
  const rules = [atMostOneOf("a", "b"), excludes("c", "d", "e"), together("a", "f")];
  assert.deepEqual(listExcluded(rules, ["a"]), ["b"]);
  assert.deepEqual(listExcluded(rules, ["c"]), ["d", "e"]);
  assert.deepEqual(listExcluded(rules, ["e"]), ["c"]);
});

test("the rules of every command name its flags and arguments", () => {
  for (const { path, flags, args, rules = [] } of COMMAND_TABLE.commands) {
    const known = new Set([...Object.keys(flags), ...args.map(({ name }) => name)]);
    for (const item of rules.flatMap(getItems)) assert.ok(known.has(item), `${path.join(" ")}: ${item}`);
  }
});
