import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY_MS } from "../lib/duration.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import type { IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { decideRecovery, decideRecoveryRequest, type RecoveryFacts } from "./node_recovery.ts";

const NOW = new Date("2027-03-01T00:00:00Z");
const SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";

function record(sequence: number, edit: Partial<IssuedCertificate["spec"]> = {}, status = {}): IssuedCertificate {
  return {
    metadata: { name: String(sequence).padStart(10, "0") },
    spec: {
      sequence,
      signerName: SIGNER,
      notBefore: null,
      notAfter: "2027-01-01T00:00:00Z",
      issuedAt: "2026-01-01T00:00:00Z",
      publicKeyFingerprint: `key${sequence}`,
      ...edit,
    },
    status,
  };
}

const leaf = (commonName = "system:node:n1", organizations: readonly string[] = ["system:nodes"]) =>
  ({
    subject: { commonName, organizations },
    notAfter: new Date("2027-01-01T00:00:00Z"),
  }) as unknown as RecoveryFacts["leaf"];
const facts: RecoveryFacts = {
  leaf: leaf(),
  record: record(1),
  newest: record(1),
  lastUnidentified: undefined,
  now: NOW,
  graceMs: 90 * DAY_MS,
};
const bound = { recovery: { publicKeyFingerprint: "key2", address: "192.0.2.7", time: "2027-02-28T00:00:00Z" } };

for (
  const { name, edit, want } of [
    { name: "the last certificate, within the grace", edit: {}, want: "system:node:n1" },
    {
      name: "the certificate of a person",
      edit: { leaf: leaf("alice", ["devs"]) },
      want: /not that of a node/,
    },
    { name: "a node's name without its group", edit: { leaf: leaf("system:node:n1", []) }, want: /not that of a node/ },
    {
      name: "beyond the grace",
      edit: { graceMs: 30 * DAY_MS },
      want: /expired 59d ago, and this server recovers a node within 30d only/,
    },
    { name: "no record", edit: { record: undefined, newest: undefined }, want: /not in the register/ },
    { name: "another signer", edit: { record: record(1, { signerName: "example.com/x" }) }, want: /not issued as/ },
    {
      name: "revoked",
      edit: { record: record(1, {}, { revocation: { name: "node:n1", reason: "keyCompromise", time: null } }) },
      want: /revoked \(keyCompromise\)/,
    },
    { name: "a newer certificate", edit: { newest: record(2) }, want: /a newer certificate was issued .* at 2026/ },
    {
      name: "its own next certificate",
      edit: { record: record(1, {}, bound), newest: record(2) },
      want: "system:node:n1",
    },
    {
      name: "a later certificate of an unknown node",
      edit: { lastUnidentified: 2 },
      want: /does not say which node record/,
    },
    {
      name: "an earlier certificate of an unknown node",
      edit: { record: record(3), newest: record(3), lastUnidentified: 2 },
      want: "system:node:n1",
    },
    {
      name: "a third certificate",
      edit: { record: record(1, {}, bound), newest: record(3) },
      want: /a newer certificate/,
    },
  ] satisfies readonly { name: string; edit: Partial<RecoveryFacts>; want: string | RegExp }[]
) {
  test(`decideRecovery() with ${name}`, () => {
    const decided = decideRecovery({ ...facts, ...edit });
    if (typeof want === "string") assert.deepEqual(decided, { ok: true, value: want });
    else assert.match(decided.ok ? "accepted" : decided.error.message, want);
  });
}

const csr = (signerName = SIGNER): CertificateSigningRequest => ({
  metadata: { name: "c" },
  spec: { request: null, signerName, username: "system:node:n1" },
  status: {},
});
const request = (commonName: string) =>
  ({ subject: { commonName } }) as unknown as Parameters<typeof decideRecoveryRequest>[2];

test("decideRecoveryRequest() binds the first key, accepts it again and refuses every other key and name", () => {
  const decide = (
    { of = record(1), signerName = SIGNER, name = "system:node:n1", key = "key2" } = {},
  ): string => {
    const decided = decideRecoveryRequest(of, csr(signerName), request(name), key);
    return decided.ok ? decided.value : decided.error.message;
  };
  assert.equal(decide(), "bind");
  assert.equal(decide({ of: record(1, {}, bound) }), "bound");
  assert.equal(
    decide({ of: record(1, {}, bound), key: "key3" }),
    'another key has already recovered "system:node:n1" with this certificate from 192.0.2.7 at 2027-02-28T00:00:00Z',
  );
  assert.match(decide({ name: "system:node:n2" }), /may only request the client certificate of "system:node:n1"/);
  assert.match(decide({ signerName: "kubernetes.io/kube-apiserver-client" }), /may only request/);
});
