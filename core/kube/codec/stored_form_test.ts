import assert from "node:assert/strict";
import { test } from "node:test";
import { certificateSigningRequestKind, csiNodeKind, roleKind } from "../kinds/mod.ts";
import { canonicalObject } from "./decode.ts";
import { storedForm } from "./stored_form.ts";

test("storedForm() turns empty lists that Go always writes into null at any depth", () => {
  const role = canonicalObject(roleKind.schema, { rules: [] });
  assert.deepEqual(storedForm(roleKind.schema, role), { metadata: {}, rules: null });
  const node = canonicalObject(csiNodeKind.schema, {
    spec: { drivers: [{ name: "d", nodeID: "n", topologyKeys: [] }] },
  });
  const spec = Reflect.get(storedForm(csiNodeKind.schema, node), "spec") as unknown;
  assert.deepEqual(spec, { drivers: [{ name: "d", nodeID: "n", topologyKeys: null }] });
});

test("storedForm() returns the same object when nothing changes", () => {
  const role = canonicalObject(roleKind.schema, { rules: [{ verbs: ["get"] }] });
  assert.equal(storedForm(roleKind.schema, role), role);
  const csr = canonicalObject(certificateSigningRequestKind.schema, { spec: { request: "eA==" } });
  assert.equal(storedForm(certificateSigningRequestKind.schema, csr), csr);
});
