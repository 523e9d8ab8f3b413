import assert from "node:assert/strict";
import { test } from "node:test";
import { BUILTIN_POLICIES } from "./policy.ts";
import { parseInventory } from "./evidence/inventory.ts";
import { parsePolicy } from "./parse_policy.ts";
import { formatPublishedSettings, parsePublishedSettings } from "./published.ts";
import { SSH_VECTORS, type SshVector } from "../../tests/support/ssh_vectors.ts";

const WEB = `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: web
rules:
  - name: stop
    match: { signerNames: [example.com/web] }
    then: deny
`;
const INVENTORY = "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n  - name: n1\n";

function createSettings(inventoryText: string | undefined) {
  const web = parsePolicy(WEB);
  const serving = BUILTIN_POLICIES.get("kubelet-serving");
  assert.ok(web.ok && serving !== undefined);
  return { policies: [serving, web.value], policyTexts: new Map([["web", WEB]]), inventoryText };
}

test("parsePublishedSettings() returns what formatPublishedSettings() was given", () => {
  const settings = createSettings(INVENTORY);
  const data = formatPublishedSettings(settings);
  assert.deepEqual(data, {
    policies: "kubelet-serving\nweb\n",
    "policy.web.yaml": WEB,
    "inventory.yaml": INVENTORY,
  });
  const parsed = parsePublishedSettings(data);
  const inventory = parseInventory(INVENTORY);
  assert.ok(parsed.ok && inventory.ok);
  assert.deepEqual(parsed.value, {
    policies: settings.policies,
    inventory: inventory.value,
    signers: undefined,
    tokenLimits: "none",
  });
});

test("parsePublishedSettings() reads an inventory that is a known_hosts file", () => {
  const [{ type, publicKey, fingerprint }] = SSH_VECTORS as readonly [SshVector];
  const parsed = parsePublishedSettings(formatPublishedSettings(createSettings(`n1 ${type} ${publicKey}\n`)));
  assert.deepEqual(parsed.ok && parsed.value.inventory?.get("n1")?.proofs?.ssh, [fingerprint]);
});

test("parsePublishedSettings() accepts an approver without policies", () => {
  const data = formatPublishedSettings({ policies: [], policyTexts: new Map(), inventoryText: undefined });
  assert.deepEqual(data, { policies: "" });
  const value = { policies: [], inventory: undefined, signers: undefined, tokenLimits: "none" };
  assert.deepEqual(parsePublishedSettings(data), { ok: true, value });
});

test("formatPublishedSettings() lists the signers that run with the approver, and who checks tokens", () => {
  const settings = { policies: [], policyTexts: new Map(), inventoryText: undefined };
  const runtime = { signers: ["example.com/web", "example.com/db"], tokenLimits: "at creation" } as const;
  const data = formatPublishedSettings(settings, runtime);
  assert.deepEqual(data, {
    policies: "",
    signers: "example.com/web\nexample.com/db\n",
    "tokens.limits": "at creation",
  });
  const parsed = parsePublishedSettings(data);
  assert.deepEqual(parsed, { ok: true, value: { policies: [], inventory: undefined, ...runtime } });
});

test("formatPublishedSettings() leaves out an inventory that is too large, which the reader reports", () => {
  const text = `${INVENTORY}${"#".repeat(1_000_000)}`;
  const data = formatPublishedSettings(createSettings(text));
  assert.deepEqual(Object.keys(data), ["policies", "policy.web.yaml", "inventory.omitted"]);
  const parsed = parsePublishedSettings(data);
  assert.deepEqual(parsed, {
    ok: false,
    error: [`the inventory was too large to publish, with ${text.length} bytes`],
  });
});

for (
  const { name, data, faults } of [
    { name: "another ConfigMap", data: { other: "" }, faults: ["policies: missing"] },
    { name: "a policy without its text", data: { policies: "web\n" }, faults: ["policy.web.yaml: missing"] },
    {
      name: "a malformed inventory",
      data: { policies: "", "inventory.yaml": "kind: Other\napiVersion: tlsboot/v1alpha1\nnodes: []\n" },
      faults: ['inventory.yaml: kind: must be "Inventory"'],
    },
  ] as const
) {
  test(`parsePublishedSettings() reports ${name}`, () => {
    const parsed = parsePublishedSettings(data);
    assert.deepEqual(parsed, { ok: false, error: faults });
  });
}
