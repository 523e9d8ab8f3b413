import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createSeededRandom } from "../support/seeded_random.ts";
import { fuzz, runInput } from "./fuzzer.ts";
import { inflate, minimize, mutate } from "./mutate.ts";
import { DER } from "./structure/der.ts";
import { restructureJson } from "./structure/json.ts";
import { PROTOBUF } from "./structure/protobuf.ts";
import { type Bytes, decodeText, encodeText, type Target } from "./target.ts";

const WORDS = ["<", ">", "N"];

function createTarget(run: Target["run"]): Target {
  return { seeds: ["hello", "a<b>c"].map(encodeText), words: WORDS, maxBytes: 1000, run };
}

test("fuzz() finds an input that throws, and a smaller one that throws the same error", async () => {
  const target = createTarget((input) => {
    const text = decodeText(input);
    if (text.includes("<<")) throw new Error("two of them");
    return text.includes("<") ? "one" : "none";
  });
  const { finding } = await fuzz(target, { seed: 1, seconds: 60, inputs: Infinity, onInput: () => {} });
  assert.equal(finding?.kind, "wrong");
  assert.match(finding?.message ?? "", /^Error: two of them/);
  assert.equal(decodeText(finding?.input ?? encodeText("")), "<<");
});

test("fuzz() runs the seeds first, and the same inputs for the same seed", async () => {
  const collectInputs = async (seed: number): Promise<readonly string[]> => {
    const seen: string[] = [];
    // The time limit is never reached before the hundredth input.
    const target = createTarget((input) => {
      seen.push(decodeText(input));
      if (seen.length === 100) throw new Error("enough");
      return `${input.length % 7}`;
    });
    await fuzz(target, { seed, seconds: 60, inputs: Infinity, onInput: () => {} });
    return seen.slice(0, 100);
  };
  const first = await collectInputs(1);
  assert.deepEqual(first.slice(0, 2), ["hello", "a<b>c"]);
  assert.deepEqual(await collectInputs(1), first);
  assert.notDeepEqual(await collectInputs(2), first);
});

test("fuzz() inserts inherited property names", async () => {
  const table: Readonly<Record<string, string>> = { hello: "greeting" };
  const target = createTarget((input) => {
    const found = table[decodeText(input).replace("hello", "")];
    if (typeof found === "function") throw new Error("inherited");
    return "none";
  });
  const { finding } = await fuzz(target, { seed: 1, seconds: 60, inputs: Infinity, onInput: () => {} });
  assert.match(finding?.message ?? "", /^Error: inherited/);
});

test("fuzz() ends after the seeds and the given number of inputs, however slow they are, without seconds", async () => {
  let runs = 0;
  const slow = createTarget(() => {
    runs++;
    for (const until = performance.now() + 2; performance.now() < until;);
    return `${runs % 7}`;
  });
  const target = { ...slow, graceMs: 0 };
  const report = await fuzz(target, { seed: 1, seconds: undefined, inputs: 50, onInput: () => {} });
  assert.deepEqual([runs, report.inputs], [52, 52]);
  assert.equal(report.finding, undefined);
});

test("fuzz() finds superlinear time while it is still short", async () => {
  const target = {
    ...createTarget((input) => `${/^a<\w*b?\w*>c$/.test(decodeText(input).slice(0, 20_000))}`),
    maxBytes: 8_192,
  };
  const { finding } = await fuzz(target, { seed: 1, seconds: 60, inputs: Infinity, onInput: () => {} });
  assert.equal(finding?.kind, "slow");
  assert.match(finding?.message ?? "", /not linear$/);
});

test("runInput() reports an input that is slow each time", async () => {
  let runs = 0;
  const spin = () => {
    runs++;
    // Only processor time counts in the second run, and a busy machine may give little of it.
    for (const start = process.cpuUsage(); process.cpuUsage(start).user < 20_000;);
    return "slow";
  };
  const { finding } = await runInput({ ...createTarget(spin), graceMs: 1 }, encodeText("x"));
  assert.equal(finding?.kind, "slow");
  assert.equal(runs, 3);
});

test("minimize() removes all unneeded bytes", async () => {
  const input = encodeText("..a.......b..c");
  const isSame = (bytes: Bytes) => Promise.resolve(/a.*b.*c/.test(decodeText(bytes)));
  assert.equal(decodeText(await minimize(input, isSame, () => false)), "abc");
});

test("mutate() and inflate() respect the limit", () => {
  const random = createSeededRandom(3);
  const pool = { random, inputs: [encodeText("a<b>c"), encodeText("123")], words: WORDS };
  for (let i = 0; i < 500; i++) {
    assert.ok(mutate(pool, pool.inputs[i % 2]!, 50).length <= 50);
    assert.ok(inflate(pool, pool.inputs[i % 2]!, 500).length <= 500);
  }
});

for (
  const { name, restructure, input } of [
    { name: "restructureJson()", restructure: restructureJson, input: encodeText('{"a":[1,{"b":null}],"c":"d"}') },
    { name: "DER.restructure()", restructure: DER.restructure, input: Uint8Array.of(0x30, 6, 2, 1, 5, 0x31, 1, 0) },
    { name: "PROTOBUF.restructure()", restructure: PROTOBUF.restructure, input: Uint8Array.of(8, 1, 0x12, 2, 8, 5) },
  ]
) {
  test(`${name} changes inputs of its own grammar only`, () => {
    const random = createSeededRandom(4);
    const made = new Set(Array.from({ length: 50 }, () => String(restructure(input, random))));
    assert.ok(made.size > 10, `${made.size}`);
    assert.equal(restructure(encodeText("{"), random), undefined);
  });
}
