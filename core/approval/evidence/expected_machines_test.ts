import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions } from "../../../tests/support/csr_builder.ts";
import { planExpectedMachine } from "./expected_machines.ts";
import type { NodeCertificate } from "./ownership.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const OTHER_KEY: CsrOptions = { name: "csr-2", keyAlgorithm: "ecdsa-p384" };
const APPROVED: CsrOptions = { conditions: [condition("Approved")] };
const HELD: NodeCertificate = {
  node: "n1",
  publicKeyFingerprint: "another key",
  fingerprint: "f",
  notBefore: new Date("2026-01-01T00:00:00Z"),
  notAfter: new Date("2027-01-01T00:00:00Z"),
};

for (
  const { name, csrs, certificates = [], want } of [
    { name: "nothing", csrs: [], want: "missing" },
    { name: "its request", csrs: [{}], want: "approve csr-1" },
    { name: "the request of another machine", csrs: [{ commonName: "system:node:n2" }], want: "missing" },
    {
      name: "two requests with the same key, of which the newer is chosen",
      csrs: [
        { metadata: { creationTimestamp: "2026-05-01T00:00:00Z" } },
        { name: "csr-2", metadata: { name: "csr-2", creationTimestamp: "2026-05-02T00:00:00Z" } },
      ],
      want: "approve csr-2",
    },
    { name: "two requests with different keys", csrs: [{}, OTHER_KEY], want: "contested csr-1 csr-2" },
    { name: "an approved request", csrs: [APPROVED], want: "arrived" },
    { name: "an approved request and one with another key", csrs: [APPROVED, OTHER_KEY], want: "arrived csr-2" },
    {
      name: "an approved request and a further one with the same key",
      csrs: [APPROVED, { name: "csr-2" }],
      want: "approve csr-2",
    },
    { name: "a denied request", csrs: [{ conditions: [condition("Denied")] }], want: "missing" },
    { name: "a valid certificate", csrs: [], certificates: [HELD], want: "arrived" },
    {
      name: "a valid certificate, and a request with another key",
      csrs: [{}],
      certificates: [HELD],
      want: "arrived csr-1",
    },
    {
      name: "an expired certificate and a request",
      csrs: [{}],
      certificates: [{ ...HELD, notAfter: NOW }],
      want: "approve csr-1",
    },
    { name: "an expired certificate", csrs: [], certificates: [{ ...HELD, notAfter: NOW }], want: "missing" },
    {
      name: "the renewal of the machine itself",
      csrs: [{ username: "system:node:n1", groups: ["system:nodes"] }],
      want: "missing",
    },
    {
      name: "another node that asks for its name",
      csrs: [{ username: "system:node:n2", groups: ["system:nodes"] }],
      want: "missing",
    },
    {
      name: "its serving certificate",
      csrs: [{ signerName: "kubernetes.io/kubelet-serving", usages: ["server auth", "digital signature"] }],
      want: "missing",
    },
    { name: "an extra name", csrs: [{ dnsNames: ["x.example"] }], want: "missing" },
  ] as const
) {
  test(`planExpectedMachine() with ${name}: ${want}`, async () => {
    const built = await Promise.all(csrs.map((options: CsrOptions) => buildCsr(options)));
    const state = planExpectedMachine("n1", built, certificates, NOW);
    const names = state.kind === "approve" ? [state.csr.metadata.name] : "pending" in state ? state.pending : [];
    assert.equal([state.kind, ...names].join(" "), want);
  });
}
