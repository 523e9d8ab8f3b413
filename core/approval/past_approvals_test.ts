import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { formatApprovedBy, listPastApprovals, POLICY_APPROVED } from "./past_approvals.ts";

test("listPastApprovals() reads the conditions that a policy has written, and no others", async () => {
  const at = "2026-03-02T10:30:00Z";
  const approved = (reason: string, message: string) =>
    buildCsr({
      conditions: [{ type: "Approved", status: "True", reason, message, lastUpdateTime: at, lastTransitionTime: at }],
    });
  const csrs = await Promise.all([
    approved(POLICY_APPROVED, `${formatApprovedBy({ policy: "web", rule: "one" })}: names x.`),
    approved(POLICY_APPROVED, "something else"),
    approved("KubectlApprove", `${formatApprovedBy({ policy: "web", rule: "one" })}: names x.`),
    buildCsr(),
  ]);
  assert.deepEqual(listPastApprovals(csrs), [{ policy: "web", rule: "one", at: new Date(at) }]);
});
