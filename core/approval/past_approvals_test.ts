import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import type { CertificateSigningRequestCondition } from "../kube/certificates_v1.ts";
import { formatApprovedBy, listPastApprovals, POLICY_APPROVED } from "./past_approvals.ts";

test("listPastApprovals() reads the conditions that a policy has written, and no others", async () => {
  const at = "2026-03-02T10:30:00Z";
  const message = `${formatApprovedBy({ policy: "web", rule: "one" })}: names x.`;
  const approved = (edit: Partial<CertificateSigningRequestCondition>, ...others: readonly string[]) =>
    buildCsr({
      metadata: { creationTimestamp: "2026-03-01T00:00:00Z" },
      conditions: [
        { ...condition("Approved", at, POLICY_APPROVED), message, ...edit },
        ...others.map((type) => condition(type)),
      ],
    });
  const csrs = await Promise.all([
    approved({ lastUpdateTime: null }),
    approved({ lastTransitionTime: null }),
    approved({ lastUpdateTime: null, lastTransitionTime: null }),
    approved({ message: "something else" }),
    approved({ reason: "KubectlApprove" }),
    approved({}, "Denied"),
    buildCsr(),
  ]);
  assert.deepEqual(
    listPastApprovals(csrs),
    [at, at, "2026-03-01T00:00:00Z"].map((time) => ({ policy: "web", rule: "one", at: new Date(time) })),
  );
});
