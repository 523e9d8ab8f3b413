import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition } from "../../../tests/support/csr_builder.ts";
import type { CertificateSigningRequestCondition } from "../../kube/kinds/certificates_v1.ts";
import { formatApprovedReason, listPastApprovals, POLICY_APPROVED } from "./past_approvals.ts";

test("listPastApprovals() reads the reasons that a policy has written, and no others", async () => {
  const at = "2026-03-02T10:30:00Z";
  const reason = formatApprovedReason({ policy: "web", rule: "one" });
  const approved = (edit: Partial<CertificateSigningRequestCondition>, ...others: readonly string[]) =>
    buildCsr({
      metadata: { creationTimestamp: "2026-03-01T00:00:00Z" },
      conditions: [{ ...condition("Approved", at, reason), ...edit }, ...others.map((type) => condition(type))],
    });
  const csrs = await Promise.all([
    approved({ lastUpdateTime: null }),
    approved({ lastTransitionTime: null }),
    approved({ lastUpdateTime: null, lastTransitionTime: null }),
    approved({ reason: POLICY_APPROVED, message: reason }),
    approved({ reason: `x${reason}` }),
    approved({ reason: `${reason}/two` }),
    approved({ reason: "KubectlApprove", message: reason }),
    approved({}, "Denied"),
    buildCsr(),
  ]);
  assert.deepEqual(
    listPastApprovals(csrs),
    [at, at, "2026-03-01T00:00:00Z"].map((time) => ({ policy: "web", rule: "one", at: new Date(time) })),
  );
});
