/** What each step of an operator does to a rotation, and what prevents it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRotation, CaRotationServer, CaRotationSpec } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { CensusRow } from "./census.ts";
import { applyChange, decideStep, listNextVerbs, needsCensus, type RequestedStep, type StepDecision } from "./steps.ts";

const NOW = new Date("2026-06-01T12:00:00Z");
const WINDOW = { renewFrom: "2026-06-01T12:00:00Z", renewBy: "2026-06-01T13:00:00Z" };
const ABORTED = { renewFrom: "2026-06-01T11:00:00Z" };

function createRotation(
  step: CaRotationSpec["step"],
  spec: Partial<CaRotationSpec> = {},
  servers: readonly CaRotationServer[] = [],
): CaRotation {
  return {
    metadata: { name: "ca" },
    spec: { step, oldCA: "", newCA: "", ...spec },
    status: { beganAt: "2026-06-01T10:00:00Z", servers },
  };
}

/** A node that would lose access. */
const n1: CensusRow = {
  ...{ kind: "node", name: "n1", state: "oldCertificate", losesAccess: true, isLeftBehind: false },
  ...{ certificateUntil: undefined, lastSeen: undefined, command: "renew" },
};
const behind: CaRotationServer = { name: "b", step: "Trust", time: "2026-06-01T12:00:00Z" };
const down: CaRotationServer = { name: "c", step: "Trust", time: "2026-06-01T11:00:00Z" };

function describe(decision: StepDecision): string {
  switch (decision.kind) {
    case "advance":
      return Object.entries(decision.change).map(([key, value]) => `${key}=${value}`).join(" ");
    case "blocked":
      return `blocked by ${[...decision.losing, ...decision.behind].map(({ name }) => name).join(", ")}`;
    case "refused":
      return `${decision.reason}: ${decision.next}`;
    default:
      return decision.kind;
  }
}

const renewing = `renewFrom=${WINDOW.renewFrom} renewBy=${WINDOW.renewBy}`;

for (
  const { verb, rotation, rows = [], edit = {}, want } of [
    { verb: "switch", rotation: createRotation("Trust"), want: `step=Switch ${renewing}` },
    { verb: "switch", rotation: createRotation("Trust", ABORTED), want: `step=Switch ${renewing}` },
    { verb: "switch", rotation: createRotation("Switch"), want: "repeat" },
    {
      verb: "switch",
      rotation: createRotation("Switch"),
      edit: { isWindowGiven: true },
      want: `step=Switch ${renewing}`,
    },
    { verb: "switch", rotation: createRotation("Finish"), edit: { isWindowGiven: true }, want: "repeat" },
    { verb: "finish", rotation: createRotation("Trust"), want: "the new CA does not sign yet: switch" },
    { verb: "finish", rotation: createRotation("Trust", ABORTED), want: "it is being aborted: abort" },
    { verb: "finish", rotation: createRotation("Switch"), want: "step=Finish leftBehind=" },
    { verb: "finish", rotation: createRotation("Switch"), rows: [n1], want: "blocked by n1" },
    {
      verb: "finish",
      rotation: createRotation("Switch", { leftBehind: ["alice"] }),
      rows: [n1],
      edit: { leaveBehind: ["node/n1"] },
      want: "step=Finish leftBehind=alice,node/n1",
    },
    { verb: "finish", rotation: createRotation("Switch", {}, [behind, down]), want: "blocked by b, c" },
    {
      verb: "finish",
      rotation: createRotation("Switch", {}, [behind, down]),
      edit: { leaveBehind: ["b", "c"] },
      want: "step=Finish leftBehind=b,c",
    },
    { verb: "finish", rotation: createRotation("Switch", { isLeaked: true }, [down]), want: "blocked by c" },
    { verb: "finish", rotation: createRotation("Finish"), want: "repeat" },
    { verb: "abort", rotation: createRotation("Trust"), want: "end" },
    { verb: "abort", rotation: createRotation("Switch"), want: `step=Trust ${renewing}` },
    { verb: "abort", rotation: createRotation("Trust", ABORTED), want: "end" },
    { verb: "abort", rotation: createRotation("Trust", ABORTED), rows: [n1], want: "blocked by n1" },
    {
      verb: "abort",
      rotation: createRotation("Trust", ABORTED),
      rows: [n1],
      edit: { isWindowGiven: true },
      want: `step=Trust ${renewing}`,
    },
    {
      verb: "abort",
      rotation: createRotation("Trust", ABORTED),
      rows: [n1],
      edit: { leaveBehind: ["n1"] },
      want: "end",
    },
    { verb: "abort", rotation: createRotation("Finish"), want: "it is finished: begin" },
    {
      verb: "abort",
      rotation: createRotation("Switch", { isLeaked: true }),
      want: "the old key has leaked, so the old CA is not trusted again: finish",
    },
  ] satisfies readonly {
    verb: RequestedStep["verb"];
    rotation: CaRotation;
    rows?: readonly CensusRow[];
    edit?: Partial<RequestedStep>;
    want: string;
  }[]
) {
  const { spec, status } = rotation;
  const given = JSON.stringify([spec, status.servers?.map(({ name }) => name), rows.map(({ name }) => name), edit]);
  test(`decideStep() decides ${verb} for ${given}`, () => {
    assert.equal(describe(decideStep({ verb, window: WINDOW, ...edit }, rotation, rows, NOW)), want);
  });
}

test("needsCensus() is true before trust in a CA ends, unless its key has leaked", () => {
  const needed = (verb: RequestedStep["verb"], step: CaRotationSpec["step"], spec: Partial<CaRotationSpec> = {}) =>
    needsCensus(verb, createRotation(step, spec));
  assert.ok(needed("finish", "Switch"));
  assert.ok(needed("abort", "Trust", ABORTED));
  assert.ok(!needed("finish", "Switch", { isLeaked: true }));
  assert.ok(!needed("finish", "Finish"));
  assert.ok(!needed("abort", "Trust"));
  assert.ok(!needed("abort", "Switch"));
  assert.ok(!needed("switch", "Trust"));
});

test("applyChange() does not go back from a finished rotation, nor to a CA whose key has leaked", () => {
  const change = { step: "Trust", ...WINDOW } as const;
  assert.equal(applyChange(createRotation("Finish").spec, change, "Switch"), undefined);
  assert.equal(applyChange(createRotation("Switch", { isLeaked: true }).spec, change, "Switch"), undefined);
  assert.equal(applyChange(createRotation("Switch").spec, change, "Switch")?.renewBy, WINDOW.renewBy);
});

test("applyChange() does not repeat a step that another operator has taken, except after a leak", () => {
  const switched = createRotation("Switch", { renewBy: "2026-06-01T12:30:00Z" }).spec;
  assert.equal(applyChange(switched, { step: "Switch", ...WINDOW }, "Trust"), undefined);
  assert.equal(applyChange(createRotation("Trust").spec, { step: "Finish" }, "Switch"), undefined);
  assert.equal(applyChange(switched, { step: "Switch", isLeaked: true }, "Trust")?.isLeaked, true);
});

test("listNextVerbs() lists the wait before the next step, and nothing after the last one", () => {
  assert.deepEqual(listNextVerbs(createRotation("Trust"), false), ["status", "switch"]);
  assert.deepEqual(listNextVerbs(createRotation("Trust", ABORTED), true), ["abort"]);
  assert.deepEqual(listNextVerbs(createRotation("Switch"), true), ["finish"]);
  assert.deepEqual(listNextVerbs(createRotation("Finish"), true), []);
});
