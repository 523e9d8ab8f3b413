import assert from "node:assert/strict";
import { test } from "node:test";
import { createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import type { CaRotation, CaRotationSpec } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateChain } from "../pki/x509/ca_bundle.ts";
import { crossSign } from "./new_ca.ts";
import { encodePem } from "../pki/asn1/pem.ts";
import { isTrustPublished, listRenewalAnnotations, listRetiredCas, listTrustedCas } from "./trust.ts";

const [oldCa, newCa, otherCa] = await Promise.all(
  ["old", "new", "other"].map((commonName) => createSigningCa({ commonName })),
) as [SigningCa, SigningCa, SigningCa];
const crossed = await crossSign(newCa.certificate, oldCa, {
  notBefore: new Date("2026-01-01T00:00:00Z"),
  serial: Uint8Array.of(9),
});
assert.ok(crossed.ok);
const crossSignedCA = encodePem("CERTIFICATE", crossed.value.der);
const names = new Map([[oldCa, "old"], [newCa, "new"], [otherCa, "other"]].map(([ca, name]) => [
  (ca as SigningCa).certificate.sha256Fingerprint,
  name as string,
]));
const rotate = (spec: Partial<CaRotationSpec>): CaRotation => ({
  metadata: { name: "ca" },
  spec: { step: "Trust", oldCA: oldCa.certificatePem, newCA: newCa.certificatePem, crossSignedCA, ...spec },
  status: { beganAt: null },
});
const show = (chains: readonly CertificateChain[]) =>
  chains.map(({ certificate }) => names.get(certificate.sha256Fingerprint)).join(", ");

for (
  const { name, spec, current = oldCa, next, old, want } of [
    { name: "no rotation", spec: undefined, want: "old" },
    { name: "files that a command has prepared", spec: undefined, next: newCa, want: "old, new" },
    { name: "a copy of the same CA", spec: undefined, old: oldCa, want: "old" },
    { name: "Trust", spec: {}, next: newCa, want: "old, new" },
    { name: "Trust at a server without the new key", spec: {}, want: "old, new" },
    { name: "Switch", spec: { step: "Switch" }, current: newCa, old: oldCa, want: "new, old" },
    { name: "Switch at a server without the new key", spec: { step: "Switch" }, want: "new, old" },
    { name: "Finish", spec: { step: "Finish" }, current: newCa, want: "new" },
    { name: "Finish at a server without the new key", spec: { step: "Finish" }, want: "new" },
    { name: "Trust with a leaked key", spec: { isLeaked: true }, next: newCa, want: "new" },
    { name: "a rotation of other CAs", spec: { step: "Finish", isLeaked: true }, current: otherCa, want: "other" },
  ] satisfies readonly {
    name: string;
    spec: Partial<CaRotationSpec> | undefined;
    current?: SigningCa;
    next?: SigningCa;
    old?: SigningCa;
    want: string;
  }[]
) {
  test(`listTrustedCas() for ${name}: ${want}`, () => {
    assert.equal(show(listTrustedCas(spec === undefined ? undefined : rotate(spec), { current, next, old })), want);
  });
}

test("listRetiredCas() has the old CA from Finish on, or when its key has leaked", () => {
  const list = (spec: Partial<CaRotationSpec>) =>
    [...listRetiredCas([rotate(spec)])].map((fingerprint) => names.get(fingerprint)).join();
  assert.deepEqual([list({ step: "Switch" }), list({ step: "Finish" }), list({ isLeaked: true })], ["", "old", "old"]);
});

test("listRenewalAnnotations() identifies the CA that is replaced: the old one, or after an abort the new one", () => {
  const window = { renewFrom: "2026-01-01T00:00:00Z", renewBy: "2026-01-01T01:00:00Z" };
  const list = (...specs: readonly Partial<CaRotationSpec>[]) => listRenewalAnnotations(specs.map(rotate));
  assert.deepEqual(list({}), {});
  assert.deepEqual(list({ step: "Switch" }), {});
  assert.deepEqual(list({ step: "Switch", ...window }), {
    "tlsboot/retiring-ca": oldCa.certificate.subjectKeyId,
    "tlsboot/renew-from": window.renewFrom,
    "tlsboot/renew-by": window.renewBy,
  });
  assert.equal(list(window)["tlsboot/retiring-ca"], newCa.certificate.subjectKeyId);
  assert.deepEqual(list({ step: "Finish", ...window }), {});
  const later = { renewFrom: "2026-01-01T00:30:00Z", renewBy: "2026-01-01T02:00:00Z" };
  const both = list({ step: "Switch", ...window }, { ...later });
  const keyIds = [oldCa.certificate.subjectKeyId, newCa.certificate.subjectKeyId].sort().join();
  assert.deepEqual(Object.values(both), [keyIds, window.renewFrom, later.renewBy]);
});

const WINDOW = { renewFrom: "2026-06-01T00:00:00Z", renewBy: "2026-06-01T01:00:00Z" };
const OLD = oldCa.certificate.sha256Fingerprint;
const NEW = newCa.certificate.sha256Fingerprint;
const asked = listRenewalAnnotations([rotate({ step: "Switch", ...WINDOW })]);
const later = {
  ...asked,
  "tlsboot/retiring-ca": `00,${asked["tlsboot/retiring-ca"]}`,
  "tlsboot/renew-by": "2026-06-02T00:00:00Z",
};

for (
  const { name, spec, isServingCa = true, annotations = {}, fingerprints, want } of [
    { name: "Trust, before", spec: {}, fingerprints: [OLD], want: false },
    { name: "Trust, after", spec: {}, fingerprints: [OLD, NEW], want: true },
    { name: "Trust of a CA that clients do not trust", spec: {}, isServingCa: false, fingerprints: [OLD], want: true },
    { name: "Switch, before", spec: { step: "Switch", ...WINDOW }, fingerprints: [OLD, NEW], want: false },
    {
      name: "Switch, after",
      spec: { step: "Switch", ...WINDOW },
      annotations: asked,
      fingerprints: [OLD, NEW],
      want: true,
    },
    {
      name: "Switch, during another rotation",
      spec: { step: "Switch", ...WINDOW },
      annotations: later,
      fingerprints: [OLD, NEW],
      want: true,
    },
    { name: "Finish, before", spec: { step: "Finish" }, fingerprints: [OLD, NEW], want: false },
    { name: "Finish, after", spec: { step: "Finish" }, fingerprints: [NEW], want: true },
    { name: "a leaked key, before", spec: { step: "Switch", isLeaked: true }, fingerprints: [OLD, NEW], want: false },
  ] satisfies readonly {
    name: string;
    spec: Partial<CaRotationSpec>;
    isServingCa?: boolean;
    annotations?: Readonly<Record<string, string>>;
    fingerprints: readonly string[];
    want: boolean;
  }[]
) {
  test(`isTrustPublished() for ${name}: ${want}`, () => {
    assert.equal(isTrustPublished(rotate(spec), isServingCa, { annotations, fingerprints }), want);
  });
}
