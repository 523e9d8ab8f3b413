import assert from "node:assert/strict";
import { test } from "node:test";
import { projectOrder } from "./project_order.ts";

const status = (...causes: readonly (readonly [string, string])[]) => ({
  message: `X "a" is invalid: [${causes.map(([field, message]) => `${field}: ${message}`).join(", ")}]`,
  details: { causes: causes.map(([field, message]) => ({ field, message })) },
});

test("projectOrder() sorts the errors about one map", () => {
  const other = ["spec.a", "Required value"] as const;
  assert.deepEqual(
    projectOrder(status(["metadata.labels", "b"], ["metadata.labels", "a"], other)),
    projectOrder(status(["metadata.labels", "a"], ["metadata.labels", "b"], other)),
  );
  assert.deepEqual(
    projectOrder(status(["data[y]", "b"], ["data[x]", "b"])),
    status(["data[x]", "b"], ["data[y]", "b"]),
  );
});

test("projectOrder() keeps the order of other errors", () => {
  for (const one of [status(["b", "x"], ["a", "x"]), status(["l[1]", "x"], ["l[0]", "x"]), status(["a", "x"])]) {
    assert.deepEqual(projectOrder(one), one);
  }
});

test("projectOrder() keeps the typed errors that do not depend on the order of a map", () => {
  const message = (errors: string) => ({ message: `failed to create typed patch object (a/b; v1, Kind=X): ${errors}` });
  assert.deepEqual(
    projectOrder(message("errors:\n  .b: expected string\n  .a: expected string")),
    projectOrder(message("errors:\n  .a: expected string\n  .b: expected string")),
  );
  assert.deepEqual(
    projectOrder(message("errors:\n  .a: expected string\n  .u: field not declared in schema")),
    projectOrder(message(".u: field not declared in schema")),
  );
});
