import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import ts from "typescript";
import { createTypeCheck } from "../support/type_check.ts";
import { sortSurvivors } from "./main.ts";
import { instrument } from "./mutate.ts";
import { after, before, describe, loadTests, test as register, type TestContext } from "./node_test.ts";

for (
  const { name, source, want } of [
    { name: "a comparison", source: "x = a < b;", want: ["a < b → a <= b", "a < b → a >= b"] },
    {
      name: "a condition",
      source: "if (a === b) c++;",
      want: ["a === b → true", "a === b → false"],
    },
    { name: "a loop, whose condition becomes only false", source: "while (a) b++;", want: ["a → false"] },
    { name: "an endless loop", source: "while (true) b++;", want: [] },
    { name: "a logical operator", source: "x = a && b || c;", want: ["a && b || c → a && b && c", "a && b → a || b"] },
    { name: "a default", source: "x = a ?? b;", want: ["a ?? b → a"] },
    { name: "an addition of numbers, but not of text", source: 'x = a + 1; y = a + "s";', want: ["a + 1 → a - 1"] },
    { name: "a negation and a boolean", source: "x = [!a, true];", want: ["!a → a", "true → false"] },
    { name: "a call whose result is not used", source: "f(a);", want: ["f(a); → removed"] },
    {
      name: "the methods of lists",
      source: "x = a.some(f).filter(g);",
      want: ["a.some(f).filter(g) → without filter", "a.some(f) → .every(…)"],
    },
    {
      name: "a text that selects a branch",
      source: 'x = a.startsWith("p") ? "q" : "r";',
      want: ['a.startsWith("p") → true', 'a.startsWith("p") → false', '"p" → ""'],
    },
    {
      name: "nothing in types, logs, errors and templates",
      source: 'type T = true; logger.info("x", !a); throw new AppError(!a ? `${!b}` : "");',
      want: [],
    },
    { name: "nothing in an optional chain that continues", source: "x = a?.filter(f).length;", want: [] },
  ]
) {
  test(`instrument() finds ${name}`, () => {
    const { mutants } = instrument("a.ts", source, 0);
    assert.deepEqual(mutants.map(({ original, mutated }) => `${original} → ${mutated}`), want);
  });
}

test("instrument() writes the source of each mutant with its change alone", () => {
  const { mutants } = instrument("a.ts", "if (a && b) f();", 0);
  assert.deepEqual(mutants.map(({ source }) => source), [
    "if ((true)) f();",
    "if ((false)) f();",
    "if (((a) || (b))) f();",
    "if (a && b) {}",
  ]);
});

test("createTypeCheck() refuses a mutant that the compiler refuses, and no other", () => {
  const check = createTypeCheck(process.cwd());
  const isTyped = (text: string) => check(new Map([["core/lib/example.ts", text]])).length === 0;
  const text =
    "export const pick = (texts: readonly string[], at: number): string => texts[at] ?? (at > 0 ? 'a' : 'b');";
  const { mutants } = instrument("core/lib/example.ts", text, 0);
  assert.equal(isTyped(text), true);
  assert.deepEqual(mutants.filter(({ source }) => !isTyped(source)).map(({ mutated }) => mutated), ["texts[at]"]);
});

const SOURCE = `
export function decide(age: number, names: readonly string[]): string {
  // Keeps its comments.
  const isKnown = names.some((name): boolean => name === "a") || age - 1 < 2;
  if (!isKnown && age > 0) return "no";
  else switch (names[0]) {
    case "a": return "first";
  }
  return "yes";
}
`;

const SCRIPT = ts.transpile(instrument("a.ts", SOURCE, 0).text, { target: ts.ScriptTarget.ESNext })
  .replace("export ", "");

/** Runs the source with one mutant enabled. */
function decide(active: number | undefined, age: number, names: readonly string[]): unknown {
  const call = `${SCRIPT}; decide(${age}, ${JSON.stringify(names)})`;
  return runInNewContext(call, { __mutant: (id: number) => id === active });
}

test("instrument() writes a source that behaves the same without a mutant, and differently with each", () => {
  const inputs = [[1, ["a"]], [3, ["a", "b"]], [3, ["b"]], [3, ["b", "a"]], [2, []], [0, ["b"]], [-1, ["b"]]] as const;
  const answers = (active?: number) => inputs.map(([age, names]) => decide(active, age, names)).join();
  assert.equal(answers(), "first,first,no,yes,yes,yes,yes");
  for (const { id, original, mutated } of instrument("a.ts", SOURCE, 0).mutants) {
    const isEquivalent = `${original} → ${mutated}` === "age > 0 → age >= 0";
    if (!isEquivalent) assert.notEqual(answers(id), answers(), `${original} → ${mutated}`);
  }
});

test("loadTests() returns tests that run with the hooks around them", async () => {
  const seen: string[] = [];
  const [outer, inner] = await loadTests(() => {
    before(() => seen.push("before"));
    register("outer", () => seen.push("outer"));
    describe("group", () => {
      after(() => seen.push("after"));
      register("inner", { timeout: 1 }, async (t: TestContext) => {
        t.after(() => seen.push("own"));
        await t.test("step", () => seen.push("step"));
        throw new Error("it fails");
      });
    });
    return Promise.resolve();
  });
  await outer?.run();
  await assert.rejects(async () => await inner?.run(), /it fails/);
  assert.equal(inner?.name, "inner");
  assert.deepEqual(seen, ["before", "outer", "before", "step", "own", "after"]);
});

test("sortSurvivors() finds survivors that are not equivalent, and entries that match none", () => {
  const survivor = { id: 1, file: "a.ts", line: 3, original: "a < b", mutated: "a <= b", source: "a <= b" };
  const other = { ...survivor, file: "b.ts" };
  const equivalents = [{ why: "a is never b", file: "a.ts", changes: ["a < b → a <= b", "moved → true"] }];
  const { surviving, unmatched } = sortSurvivors([survivor, other], equivalents);
  assert.deepEqual(surviving, [other]);
  assert.deepEqual(unmatched, ["a.ts  moved → true"]);
});
