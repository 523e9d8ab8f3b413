import assert from "node:assert/strict";
import { test } from "node:test";
import { projectRules } from "./project_roles.ts";

test("projectRules() makes answers equal that list the same rules in another order", () => {
  const a = { verbs: ["get"], resources: ["a"] };
  const b = { verbs: ["get"], resources: ["b"] };
  const body = (...rules: object[]) => ({ kind: "X", status: { resourceRules: rules, incomplete: false } });
  assert.deepEqual(projectRules(body(b, a)), body(a, b));
});

test("projectRules() keeps other bodies unchanged", () => {
  for (const body of [null, "x", [], { kind: "Status", status: "Failure" }, { status: {} }]) {
    assert.deepEqual(projectRules(body), body);
  }
});
