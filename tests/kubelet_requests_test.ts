/**
 * Takes kubelet requests with every kind of key, with and without key encipherment, through every stage that checks
 * them. A kubelet requests key encipherment only for an RSA key, but upstream accepts both forms for any key
 * (`pkg/apis/certificates/helpers.go`).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluatePolicy } from "../core/approval/rules/evaluate_policies.ts";
import { BUILTIN_POLICIES } from "../core/approval/policy.ts";
import { RECOGNIZERS } from "../core/approval/recognizers.ts";
import { getKubeletUsages, type KubeletRequest } from "../core/machine/node_name.ts";
import { parseRequest } from "../core/request/parse_request.ts";
import { validateCsrCreate } from "../core/request/validate.ts";
import type { KeyAlgorithm } from "../core/pki/keys/keys.ts";
import { toKeyUsageBits } from "../core/pki/x509/usages.ts";
import { BUILTIN_SIGNERS, planCertificate } from "../core/signing/profile.ts";
import { buildCsr, type CsrOptions, servingOptions } from "./support/csr_builder.ts";

const NOW = new Date("2026-03-02T10:30:00Z");

/** Longer RSA keys take Deno seconds to generate; `tests/interop/signer_comparison_test.ts` has them. */
const KEYS: readonly KeyAlgorithm[] = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519"];

interface KubeletCase {
  readonly request: KubeletRequest;
  readonly edit: CsrOptions;
  /** The permissions that the approving controller reviews (`pkg/controller/certificates/approver/sarapprove.go`). */
  readonly permissions: readonly string[];
}

const CASES: readonly KubeletCase[] = [
  { request: "first", edit: {}, permissions: ["nodeclient"] },
  { request: "renewal", edit: { username: "system:node:n1" }, permissions: ["selfnodeclient", "nodeclient"] },
  { request: "serving", edit: servingOptions("n1"), permissions: [] },
];

for (const keyAlgorithm of KEYS) {
  for (const { request, edit, permissions } of CASES) {
    for (const hasEncipherment of [false, true]) {
      const purpose = request === "serving" ? "server auth" : "client auth";
      const usages = ["digital signature", ...(hasEncipherment ? ["key encipherment"] : []), purpose];
      const title = `${request} request, ${keyAlgorithm}, ${hasEncipherment ? "with" : "without"} key encipherment`;

      test(`${title}: is valid, recognized, approved and signed as requested`, async () => {
        const csr = await buildCsr({ ...edit, keyAlgorithm, usages });
        assert.deepEqual(validateCsrCreate({ ...csr, status: {} }), []);

        const facts = parseRequest(csr.spec.request);
        const profile = BUILTIN_SIGNERS.get(csr.spec.signerName);
        assert.ok(facts.ok && profile !== undefined);
        const recognized = RECOGNIZERS.filter(({ recognizes }) => recognizes(csr, facts.value));
        assert.deepEqual(recognized.map(({ permission }) => permission), permissions);
        const verdict = evaluatePolicy(BUILTIN_POLICIES.get("kubelet-serving")!, {
          csr,
          request: facts.value,
          now: NOW,
          evidence: {
            inventory: new Map([["n1", { dns: ["n1.example"], ips: [] }]]),
            held: { kind: "none" },
            reported: { kind: "none" },
            certificates: { kind: "none" },
            server: { dns: [], ips: [] },
          },
          permissions: new Map(),
          approvedBefore: [],
        });
        assert.equal(verdict.kind, request === "serving" ? "approve" : "pending");

        const planned = planCertificate({
          csr,
          facts: facts.value,
          profile,
          caNotAfter: new Date("2036-01-01T00:00:00Z"),
          signingDurationSeconds: 86_400,
          now: NOW,
        });
        assert.ok(planned.ok);
        const bits = toKeyUsageBits(planned.value.usages);
        assert.deepEqual(bits, ["digitalSignature", ...(hasEncipherment ? ["keyEncipherment"] : [])]);
      });
    }
  }
}

for (
  const { request, rsa } of [
    // pkg/kubelet/certificate/bootstrap/bootstrap.go requestNodeCertificate
    { request: "first", rsa: ["digital signature", "client auth", "key encipherment"] },
    // client-go util/certificate/certificate_manager.go DefaultKubeletClientGetUsages, DefaultKubeletServingGetUsages
    { request: "renewal", rsa: ["digital signature", "key encipherment", "client auth"] },
    { request: "serving", rsa: ["digital signature", "key encipherment", "server auth"] },
  ] as const
) {
  test(`getKubeletUsages() has key encipherment in a ${request} request only for an RSA key`, () => {
    assert.deepEqual(getKubeletUsages(request, "RSA"), rsa);
    const others = rsa.filter((usage) => usage !== "key encipherment");
    for (const algorithm of ["ECDSA", "Ed25519"] as const) {
      assert.deepEqual(getKubeletUsages(request, algorithm), others);
    }
  });
}
