import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultUsages } from "./default_usages.ts";

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
