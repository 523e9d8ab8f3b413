import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { buildCsr, type CsrOptions, sharedKey } from "../../tests/support/csr_builder.ts";
import { createIntermediateCa, createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import { NOW, planTestLeaf } from "../../tests/support/test_authority.ts";
import { findLeafCertificate } from "../csr/certificate.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { encodeBase64 } from "../lib/base64.ts";
import { type CertificatePlan, issueCertificate } from "../pki/issue.ts";
import { generatePrivateKey } from "../pki/keys.ts";
import { encodePem } from "../pki/pem.ts";
import { publicKeyPin } from "../pki/public_key_pin.ts";
import type { AnswerOutcome } from "./answer_bundle.ts";
import { decideImport, findUntrustedAuthorities } from "./import_answer.ts";

const APPROVED = { type: "Approved", status: "True", reason: "Ok", lastUpdateTime: null, lastTransitionTime: null };
const FAILED = { ...APPROVED, type: "Failed", message: "no" };
const REFUSED: AnswerOutcome = { kind: "refused", message: "no" };

let ca: SigningCa;
let otherCa: SigningCa;
let leaf: Uint8Array<ArrayBuffer>;

describe("an answer to a request in the API", () => {
  before(async () => {
    ca = await createSigningCa();
    otherCa = await createSigningCa({ commonName: "other-ca" });
    leaf = await issue();
  });

  async function issue(edit: Partial<CertificatePlan> = {}, by = ca): Promise<Uint8Array<ArrayBuffer>> {
    return await issueCertificate(planTestLeaf(await sharedKey(), edit), by, Uint8Array.of(7));
  }

  function build(edit: CsrOptions = {}): Promise<CertificateSigningRequest> {
    return buildCsr({
      name: "n1",
      metadata: { name: "n1", uid: "u1" },
      usages: ["digital signature", "client auth"],
      conditions: [APPROVED],
      ...edit,
    });
  }

  function decide(csr: CertificateSigningRequest | undefined, outcome: AnswerOutcome, failRefused = true) {
    const context = { authorities: [[ca.certificate]], failRefused, now: NOW };
    return decideImport(csr, { name: "n1", uid: "u1", outcome }, context);
  }

  const issued = (...certificates: Uint8Array<ArrayBuffer>[]): AnswerOutcome => ({ kind: "issued", certificates });
  const stored = (der: Uint8Array) => encodeBase64(new TextEncoder().encode(encodePem("CERTIFICATE", der)));

  test("decideImport() writes the certificate, and keeps the conditions", async () => {
    const decision = decide(await build(), issued(leaf));
    assert.equal(decision.kind, "write");
    if (decision.kind !== "write") return;
    assert.deepEqual(findLeafCertificate(decision.csr.status.certificate ?? "")?.der, leaf);
    assert.deepEqual(decision.csr.status.conditions, [APPROVED]);
  });

  test("decideImport() writes Failed with the reason of the CA, or leaves the request", async () => {
    const decision = decide(await build(), REFUSED);
    assert.equal(decision.kind, "write");
    if (decision.kind !== "write") return;
    const [, failed] = decision.csr.status.conditions ?? [];
    assert.deepEqual([failed?.type, failed?.reason, failed?.message], ["Failed", "SignerValidationFailure", "no"]);
    assert.deepEqual(decide(await build(), REFUSED, false), { kind: "left", message: "no" });
    assert.deepEqual(decide(await build(), { kind: "skipped", message: "later" }), { kind: "left", message: "later" });
  });

  test("decideImport() reports an answer that was imported before", async () => {
    assert.deepEqual(decide(await build({ certificate: stored(leaf) }), issued(leaf)), { kind: "imported" });
    assert.deepEqual(decide(await build({ conditions: [APPROVED, FAILED] }), REFUSED), { kind: "imported" });
  });

  for (
    const [name, edit, outcome, want] of [
      [
        "a request that was created again",
        { metadata: { name: "n1", uid: "u2" } },
        () => issued(leaf),
        /another request/,
      ],
      ["a request that is not approved", { conditions: [] }, () => issued(leaf), /is not approved/],
      ["a failed request", { conditions: [APPROVED, FAILED] }, () => issued(leaf), /has failed already/],
      [
        "another certificate",
        {},
        async () => issued(await issue({}, otherCa)),
        /not of the CA that signed the answers/,
      ],
      ["a malformed certificate", {}, () => issued(Uint8Array.of(1)), /malformed/],
      [
        "a certificate for another name",
        { commonName: "system:node:n2" },
        () => issued(leaf),
        /not what was requested/,
      ],
      ["a certificate without a requested usage", { usages: ["server auth"] }, () => issued(leaf), /lacks the usage/],
      [
        "a certificate for another key",
        {},
        async () => issued(await issue({ publicKeyDer: (await generatePrivateKey("ecdsa-p256")).publicKeyDer() })),
        /for another key/,
      ],
      [
        "a certificate that has ended",
        {},
        async () => issued(await issue({ notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") })),
        /has ended on 2026-02-01T00:00:00Z/,
      ],
    ] as const
  ) {
    test(`decideImport() refuses ${name}`, async () => {
      const decision = decide(await build(edit), await outcome());
      assert.equal(decision.kind, "unusable");
      if (decision.kind === "unusable") assert.match(decision.message, want);
    });
  }

  test("decideImport() refuses a deleted request, and one with another certificate", async () => {
    assert.equal(decide(undefined, issued(leaf)).kind, "unusable");
    const other = await build({ certificate: stored(await issue({ notAfter: new Date("2030-01-01") })) });
    assert.equal(decide(other, issued(leaf)).kind, "unusable");
    assert.equal(decide(other, REFUSED).kind, "unusable");
  });

  test("findUntrustedAuthorities() trusts a named key, a trusted CA, and a CA below one", async () => {
    const below = await createIntermediateCa(ca);
    const chains = [[ca.certificate], [below.certificate, ...below.issuers], [otherCa.certificate]];
    const find = (pins: readonly string[], roots = [ca.certificate]) =>
      findUntrustedAuthorities(chains, { pins: new Set(pins), roots }).map(({ sha256Fingerprint }) =>
        sha256Fingerprint
      );
    assert.deepEqual(find([]), [otherCa.certificate.sha256Fingerprint]);
    assert.deepEqual(find([publicKeyPin(otherCa.certificate)]), []);
    assert.equal(find([], []).length, 3);
  });
});
