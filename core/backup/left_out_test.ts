import assert from "node:assert/strict";
import { test } from "node:test";
import { countLeftOut, describeLeftOut, parseLeftOut } from "./left_out.ts";

test("countLeftOut() counts by resource, with its group where keys have one", () => {
  const counted = countLeftOut([
    "/registry/pods/default/b",
    "/registry/example.com/widgets/default/a",
    "/registry/pods/kube-system/example.com",
    "/registry/example.com/gadgets/a",
    "/registry/odd.name",
    "/registry/",
  ]);
  assert.equal(
    describeLeftOut(counted),
    " (1), example.com/gadgets (1), example.com/widgets (1), odd.name (1), pods (2)",
  );
  assert.deepEqual(parseLeftOut(JSON.parse(JSON.stringify(counted))), { ok: true, value: counted });
});

test("parseLeftOut() takes what is not said for nothing, and refuses anything else", () => {
  assert.deepEqual(parseLeftOut(undefined), { ok: true, value: [] });
  for (const other of [null, {}, [null], [{ resource: "pods" }], [{ resource: 1, objects: 1 }]]) {
    assert.equal(parseLeftOut(other).ok, false, JSON.stringify(other));
  }
});
