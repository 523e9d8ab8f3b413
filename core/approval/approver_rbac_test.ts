import assert from "node:assert/strict";
import { test } from "node:test";
import { BUILTIN_POLICIES, INVENTORY_ONLY, type Policy } from "./policy.ts";
import { collectPolicyNeeds, needsInventory } from "./approver_rbac.ts";

const [client, serving, trusting] = ["kubelet-client", "kubelet-serving", "kubelet-serving-trusting"].map((name) =>
  BUILTIN_POLICIES.get(name)!
);
const KUBELET = "kubernetes.io/kube-apiserver-client-kubelet";

test("collectPolicyNeeds() lists the signers that rules decide, and nodes where a rule reads them", () => {
  assert.deepEqual(collectPolicyNeeds([]), { signerNames: [KUBELET], nodes: false });
  assert.deepEqual(collectPolicyNeeds([client!]), { signerNames: [KUBELET], nodes: false });
  assert.deepEqual(collectPolicyNeeds([serving!]), {
    signerNames: [KUBELET, "kubernetes.io/kubelet-serving"],
    nodes: true,
  });
  const inventoryOnly = { ...serving!, evidence: { inventory: true, heldCertificate: false, trustNodeStatus: false } };
  assert.equal(collectPolicyNeeds([inventoryOnly]).nodes, false);
  const leaving: Policy = {
    ...client!,
    rules: [{
      name: "x",
      match: { signerNames: ["example.com/*"] },
      require: {},
      then: "pending",
      otherwise: "pending",
    }],
  };
  assert.deepEqual(collectPolicyNeeds([leaving]).signerNames, [KUBELET]);
});

test("needsInventory() is true if nothing else gives a node its names", () => {
  const asking = { ...serving!, rules: [...serving!.rules, { ...serving!.rules[0]!, require: {} }] };
  const listing = { ...client!, evidence: serving!.evidence };
  assert.deepEqual(
    [client!, serving!, trusting!, INVENTORY_ONLY, asking, listing].map(needsInventory),
    [false, true, false, true, true, false],
  );
});
