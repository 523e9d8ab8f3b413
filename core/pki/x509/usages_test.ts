import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY_USAGES } from "../../kube/kinds/constants.ts";
import {
  defaultUsages,
  findKeyUsageFault,
  findUnknownUsages,
  listUsages,
  toExtendedKeyUsageOids,
  toKeyUsageBits,
} from "./usages.ts";

const CLIENT = "1.3.6.1.5.5.7.3.2";
const EMAIL = "1.3.6.1.5.5.7.3.4";
const OCSP = "1.3.6.1.5.5.7.3.9";

// `pkg/controller/certificates/authority/policies_test.go`, and every usage that `policies.go` knows.
for (
  const { usages, bits, extended } of [
    { usages: ["signing"], bits: ["digitalSignature"], extended: [] },
    { usages: ["client auth"], bits: [], extended: [CLIENT] },
    { usages: ["client auth", "client auth"], bits: [], extended: [CLIENT] },
    { usages: ["cert sign", "encipher only"], bits: ["keyCertSign", "encipherOnly"], extended: [] },
    {
      usages: ["ocsp signing", "crl sign", "s/mime", "content commitment"],
      bits: ["contentCommitment", "cRLSign"],
      extended: [EMAIL, OCSP],
    },
    { usages: ["s/mime", "email protection"], bits: [], extended: [EMAIL] },
    { usages: [], bits: [], extended: [] },
    { usages: ["unsupported string"], bits: [], extended: [] },
    {
      usages: [...KEY_USAGES],
      bits: [
        "digitalSignature",
        "contentCommitment",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
      ],
      extended: [
        "2.5.29.37.0",
        "1.3.6.1.5.5.7.3.1",
        CLIENT,
        "1.3.6.1.5.5.7.3.3",
        EMAIL,
        "1.3.6.1.5.5.7.3.5",
        "1.3.6.1.5.5.7.3.6",
        "1.3.6.1.5.5.7.3.7",
        "1.3.6.1.5.5.7.3.8",
        OCSP,
        "1.3.6.1.4.1.311.10.3.3",
        "2.16.840.1.113730.4.1",
      ],
    },
  ]
) {
  test(`toKeyUsageBits() and extendedKeyUsagesOf() map [${usages.length > 9 ? "all" : usages}]`, () => {
    assert.deepEqual(toKeyUsageBits(usages), bits);
    assert.deepEqual(toExtendedKeyUsageOids(usages), extended);
  });
}

test("findUnknownUsages() keeps request order and repeats", () => {
  assert.deepEqual(findUnknownUsages(["b", "client auth", "a", "b"]), ["b", "a", "b"]);
  assert.deepEqual(findUnknownUsages(KEY_USAGES), []);
});

test("listUsages() lists bits and extended usages by their names, and those without a name as they are", () => {
  const listed = listUsages({ keyUsages: ["digitalSignature", "bit 9"], extendedKeyUsages: [CLIENT, "1.2.3"] });
  assert.deepEqual(listed, ["digital signature", "bit 9", "client auth", "1.2.3"]);
});

test("findKeyUsageFault() wants a usage for signatures, and no other, for an ML-DSA key only", () => {
  const fault = (usages: readonly string[]) => findKeyUsageFault("ML-DSA-65", usages);
  assert.equal(fault(["digital signature", "client auth"]), undefined);
  assert.match(fault(["client auth"]) ?? "", /^an ML-DSA key must have a usage for signatures/);
  assert.match(fault(["digital signature", "key encipherment"]) ?? "", /must not have the usage "key encipherment"$/);
  assert.equal(findKeyUsageFault("ECDSA", ["client auth"]), undefined);
});

const none = { dnsNames: [], ipAddresses: [] };
const dns = { dnsNames: ["a"], ipAddresses: [] };
const ip = { dnsNames: [], ipAddresses: ["10.0.0.1"] };

for (
  const { signer, key, names, want } of [
    { signer: "kubernetes.io/kube-apiserver-client", key: "ECDSA", names: none, want: "digital signature,client auth" },
    { signer: "kubernetes.io/kube-apiserver-client", key: "ECDSA", names: dns, want: "digital signature,client auth" },
    {
      signer: "kubernetes.io/kube-apiserver-client-kubelet",
      key: "RSA",
      names: none,
      want: "digital signature,key encipherment,client auth",
    },
    { signer: "kubernetes.io/kubelet-serving", key: "Ed25519", names: none, want: "digital signature,server auth" },
    { signer: "kubernetes.io/kubelet-serving", key: "ML-DSA-65", names: none, want: "digital signature,server auth" },
    { signer: "example.com/x", key: "ECDSA", names: none, want: "digital signature,client auth" },
    { signer: "example.com/x", key: "ECDSA", names: dns, want: "digital signature,server auth" },
    { signer: "example.com/x", key: "RSA", names: ip, want: "digital signature,key encipherment,server auth" },
    { signer: "kubernetes.io/legacy-unknown", key: "ECDSA", names: ip, want: "digital signature,server auth" },
  ] as const
) {
  test(`defaultUsages() at ${signer}, ${key}, ${JSON.stringify(names)}: ${want}`, () => {
    assert.equal(defaultUsages(signer, key, names).join(","), want);
  });
}
