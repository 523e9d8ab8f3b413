import { strict as assert } from "node:assert";
import { test } from "node:test";
import { createIntermediate, createTestAuthority } from "../../tests/support/test_authority.ts";
import { NO_SUBTREES } from "../pki/name_constraints.ts";
import { planPermittedNames } from "./permitted_names.ts";

const wanted = { dnsNames: ["localhost", "api.example.org"], ipAddresses: ["127.0.0.1", "::1"] };

test("planPermittedNames() lets every name pass without constraints", async () => {
  const { certificate } = await createTestAuthority();
  assert.deepEqual(planPermittedNames(wanted, [certificate]), { names: wanted, refused: new Map() });
});

test("planPermittedNames() keeps what the CA and all above it permit, and says why the rest must go", async () => {
  const root = await createTestAuthority();
  const permit = (edit: Partial<typeof NO_SUBTREES>) => ({
    nameConstraints: { permitted: { ...NO_SUBTREES, ...edit }, excluded: NO_SUBTREES },
  });
  const upper = await createIntermediate(root, "upper", permit({ dnsNames: ["example.org"] }));
  const lower = await createIntermediate(upper, "lower", permit({ ipRanges: ["127.0.0.0/8"] }));
  const { names, refused } = planPermittedNames(wanted, [lower.certificate, upper.certificate]);
  assert.deepEqual(names, { dnsNames: ["api.example.org"], ipAddresses: ["127.0.0.1"] });
  assert.deepEqual([...refused], [
    ["localhost", 'DNS name "localhost" is not permitted by any constraint'],
    ["::1", 'IP address "::1" is not permitted by any constraint'],
  ]);
});
