import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions, sharedKey } from "../../../tests/support/csr_builder.ts";
import { createIssuingCa, type TestCertificate } from "../../../tests/support/issuing_ca.ts";
import { encodeBase64 } from "../../lib/encodings.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { KUBELET_SERVING_SIGNER } from "../../kube/kinds/constants.ts";
import { findHeldNames, listReportedNames, splitHosts } from "./ownership.ts";

const NOW = new Date("2026-03-02T10:30:00Z");
const HOUR_MS = 3_600_000;
const ca = createIssuingCa(NOW);

/** A request of node `a` for which a certificate was issued. */
async function issued(
  certificate: Partial<TestCertificate>,
  edit: CsrOptions = {},
): Promise<CertificateSigningRequest> {
  const pem = await (await ca).issue({
    publicKeyDer: (await sharedKey()).publicKeyDer(),
    subject: { commonName: "system:node:a", organizations: ["system:nodes"] },
    dnsNames: ["a.example"],
    ipAddresses: ["10.0.0.1"],
    usages: ["server auth"],
    ...certificate,
  });
  return await buildCsr({
    signerName: KUBELET_SERVING_SIGNER,
    username: "system:node:a",
    conditions: [condition("Approved")],
    certificate: encodeBase64(pem),
    ...edit,
  });
}

test("listReportedNames() separates names and addresses as a kubelet does, and normalizes them", () => {
  const addresses = [
    { type: "Hostname", address: "Node-A" },
    { type: "InternalDNS", address: "node-a.example." },
    { type: "InternalIP", address: "10.0.0.1" },
    { type: "ExternalIP", address: "2001:0DB8::0001" },
    { type: "InternalIP", address: "::ffff:10.0.0.1" },
    { type: "Hostname", address: "10.0.0.3" },
    { type: "InternalIP", address: "no-address" },
    { type: "Other", address: "10.0.0.4" },
    {},
  ];
  assert.deepEqual(listReportedNames({ metadata: { name: "a" }, status: { addresses } }), {
    dns: ["node-a", "node-a.example"],
    ips: ["10.0.0.1", "2001:db8::1", "10.0.0.3"],
  });
  assert.deepEqual(listReportedNames({ metadata: { name: "a" } }), { dns: [], ips: [] });
});

test("splitHosts() separates names and addresses", () => {
  assert.deepEqual(splitHosts(["Boot.example", "::1", "10.0.0.1", ""]), {
    dns: ["boot.example"],
    ips: ["::1", "10.0.0.1"],
  });
});

test("findHeldNames() uses the newest valid certificate", async () => {
  const at = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS);
  const older = await issued({ notBefore: at(-2), ipAddresses: ["10.0.0.9"] });
  const newer = await issued({ notBefore: at(-1) });
  const found = { kind: "found", value: { dns: ["a.example"], ips: ["10.0.0.1"] } };
  assert.deepEqual(findHeldNames([older, newer], "a", NOW), found);
  assert.deepEqual(findHeldNames([newer, older], "a", NOW), found);
  const short = await issued({ notBefore: NOW, notAfter: at(1) });
  assert.deepEqual(findHeldNames([short], "a", NOW), found);
  assert.deepEqual(findHeldNames([short], "a", at(1)), { kind: "none" });
});

for (
  const [name, certificate, edit] of [
    ["another node's", {}, { username: "system:node:b" }],
    ["a client certificate's request", {}, { signerName: "kubernetes.io/kube-apiserver-client-kubelet" }],
    ["a denied request", {}, { conditions: [condition("Approved"), condition("Denied")] }],
    ["a failed request", {}, { conditions: [condition("Approved"), condition("Failed")] }],
    ["a certificate in another name", { subject: { commonName: "system:node:b" } }, {}],
    ["a malformed certificate", {}, { certificate: encodeBase64("nothing") }],
  ] as const
) {
  test(`findHeldNames() does not count ${name}`, async () => {
    assert.deepEqual(findHeldNames([await issued(certificate, edit)], "a", NOW), { kind: "none" });
  });
}
