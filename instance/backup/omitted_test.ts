import assert from "node:assert/strict";
import { test } from "node:test";
import { countOmitted, describeOmitted, parseOmitted } from "./manifest.ts";

test("countOmitted() counts by resource, with its group where keys have one", () => {
  const counted = countOmitted([
    "/registry/pods/default/b",
    "/registry/example.com/widgets/default/a",
    "/registry/pods/kube-system/example.com",
    "/registry/example.com/gadgets/a",
    "/registry/odd.name",
    "/registry/",
  ]);
  assert.equal(
    describeOmitted(counted),
    " (1), example.com/gadgets (1), example.com/widgets (1), odd.name (1), pods (2)",
  );
  assert.deepEqual(parseOmitted(JSON.parse(JSON.stringify(counted))), { ok: true, value: counted });
});

test("parseOmitted() accepts an absent list, and refuses malformed ones", () => {
  assert.deepEqual(parseOmitted(undefined), { ok: true, value: [] });
  for (const other of [null, {}, [null], [{ resource: "pods" }], [{ resource: 1, objects: 1 }]]) {
    assert.equal(parseOmitted(other).ok, false, JSON.stringify(other));
  }
});
