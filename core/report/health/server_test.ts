import assert from "node:assert/strict";
import { test } from "node:test";
import type { InventoryNode } from "../../approval/evidence/inventory.ts";
import type { IssuedCertificate } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { checkProofs, describeLastProof } from "./server.ts";

const NOW = new Date("2026-12-02T12:00:00Z");
const PROVEN: InventoryNode = { dns: [], ips: [], proofs: { ssh: ["SHA256:abc"], pcrs: new Map() } };
const INVENTORY = new Map([["n1", PROVEN], ["n2", PROVEN], ["n3", { dns: [], ips: [] }]]);

function createRecord(node: string, attested?: string, notAfter = "2027-01-01T00:00:00Z"): IssuedCertificate {
  return {
    metadata: {},
    spec: {
      sequence: 1,
      serialNumber: `0${node.slice(1)}`,
      subject: `CN=system:node:${node},O=system:nodes`,
      fingerprint: "f",
      notBefore: null,
      notAfter,
      issuedAt: null,
      requester: attested === undefined ? {} : { attested },
    },
    status: {},
  };
}

const check = (...records: readonly IssuedCertificate[]) => checkProofs({ inventory: INVENTORY, records, now: NOW });

test("checkProofs() reports a machine whose valid certificate came without the proof that the inventory lists", () => {
  const [fault, ...more] = check(createRecord("n1"), createRecord("n3"));
  assert.deepEqual(more, []);
  assert.match(fault?.message ?? "", /^machine n1 has a certificate, but it has never given the proof/);
  assert.match(fault?.advice ?? "", /tlsboot revoke 01$/);
});

test("checkProofs() does not report a machine that has proven once, has no certificate, or has an expired one", () => {
  assert.deepEqual(check(createRecord("n1", "ssh SHA256:abc 2026-12-01T00:00:00Z"), createRecord("n1")), []);
  assert.deepEqual(check(createRecord("n1", undefined, "2026-12-01T00:00:00Z")), []);
  assert.deepEqual(check(), []);
});

test("describeLastProof() describes the last proof, and how many machines have given one", () => {
  const describe = (...records: readonly IssuedCertificate[]) =>
    describeLastProof({ inventory: INVENTORY, records, now: NOW });
  assert.equal(describe(createRecord("n1")), undefined);
  assert.equal(
    describe(
      createRecord("n1", "ssh SHA256:abc 2026-12-02T00:00:00Z"),
      createRecord("n2", "ssh SHA256:def 2026-12-01T00:00:00Z"),
    ),
    "2 machines have given a proof; the last one was n1, by SSH host key SHA256:abc, proven at 2026-12-02T00:00:00Z",
  );
});
