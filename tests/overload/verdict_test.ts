import assert from "node:assert/strict";
import { test } from "node:test";
import { createTally } from "./attack.ts";
import type { Answer, Observation } from "./observation.ts";
import { findFaults, maxRssMb } from "./verdict.ts";

const ANSWERS: readonly Answer[] = [
  { kind: "admin", code: 200, ms: 5 },
  { kind: "probe", code: 200, ms: 15 },
  { kind: "node", code: 200, ms: 90 },
  { kind: "proof", code: 200, ms: 40 },
];

function seen(edit: Partial<Observation> = {}, peak = 200): Observation {
  return {
    attack: { name: "a flood", unit: "frames", required: { sent: 100 } },
    tally: { ...createTally(), sent: 100 },
    seconds: 5,
    rss: { before: 150, peak, after: 190 },
    answers: ANSWERS,
    log: { "request refused": 40, "repeated lines omitted": 1 },
    stored: { secrets: 3, refusals: 33 },
    ...edit,
  };
}

test("findFaults() finds nothing wrong if the attack ran and memory did not grow in the second round", () => {
  assert.deepEqual(findFaults([[seen()], [seen({}, 239)]], 1), []);
});

const MANY = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`refused ${index}`, 1]));

for (
  const { name, edit, peak, want } of [
    {
      name: "an attack that did not take place",
      edit: { tally: { ...createTally(), sent: 99 } },
      want: /^a flood: nothing is proved: 99 frames sent, 100 are required$/,
    },
    {
      name: "an honest request without an answer",
      edit: { answers: [...ANSWERS, { kind: "node", code: 429, ms: 1 }] },
      want: /1 honest requests failed: node 429$/,
    },
    {
      name: "no node with a certificate",
      edit: { answers: ANSWERS.filter(({ kind }) => kind !== "node") },
      want: /no answers of the kind node$/,
    },
    {
      name: "a log line for each frame",
      edit: { log: { "request refused": 42 } },
      want: /42 lines of "request/,
    },
    { name: "a different log message for each frame", edit: { log: MANY }, want: /21 messages in the log/ },
    {
      name: "a Secret for a wrong proof",
      edit: { stored: { secrets: 4, refusals: 0 } },
      want: /4 Secrets were stored, 3 are allowed$/,
    },
    {
      name: "an Event for each wrong proof",
      edit: { stored: { secrets: 0, refusals: 34 } },
      want: /34 Events were stored, 33 are allowed$/,
    },
    { name: "memory above the limit", peak: maxRssMb(1) + 1, want: /2188 MB of memory, 2187 are allowed$/ },
  ] satisfies readonly {
    readonly name: string;
    readonly edit?: Partial<Observation>;
    readonly peak?: number;
    readonly want: RegExp;
  }[]
) {
  test(`findFaults() finds ${name}`, () => {
    const faults = findFaults([[seen(edit, peak)]], 1);
    assert.equal(faults.length, 1, faults.join("\n"));
    assert.match(faults[0]!, want);
  });
}

test("findFaults() allows less memory at a smaller scale", () => {
  assert.match(findFaults([[seen({}, 443)]], 0.05).join(), /443 MB of memory, 442 are allowed/);
});

test("findFaults() finds memory that grows in the second round", () => {
  const faults = findFaults([[seen(), seen({}, 500)], [seen({}, 601), seen()]], 1);
  assert.deepEqual(faults, ["memory grows: 500, 601 MB at the peak of each round"]);
});

test("findFaults() always allows a growth of 80 MB", () => {
  assert.deepEqual(findFaults([[seen({}, 210)], [seen({}, 290)]], 1), []);
  assert.match(findFaults([[seen({}, 210)], [seen({}, 291)]], 1).join(), /^memory grows: 210, 291 MB/);
});

test("findFaults() finds memory that grows in each round, but not memory that grew once", () => {
  const rounds = (...peaks: readonly number[]) => peaks.map((peak) => [seen({}, peak)]);
  assert.match(findFaults(rounds(200, 300, 400), 1).join(), /^memory grows: 200, 300, 400 MB/);
  assert.deepEqual(findFaults(rounds(200, 300, 310), 1), []);
});
