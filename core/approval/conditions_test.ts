import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../kube/kinds/certificates_v1.ts";
import {
  createDecisionText,
  formatApprovedReason,
  listPastApprovals,
  POLICY_APPROVED,
  withApproval,
  withCondition,
  withDenial,
} from "./conditions.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";

const KUBECTL_APPROVE = {
  reason: "KubectlApprove",
  message: "This CSR was approved by kubectl certificate approve.",
};
const KUBECTL_DENY = { reason: "KubectlDeny", message: "This CSR was denied by kubectl certificate deny." };

const NOW = new Date("2026-01-01T10:00:00.500Z");

function csrWith(...types: string[]): CertificateSigningRequest {
  const conditions = types.map((type) => ({ type, status: "True", lastUpdateTime: null, lastTransitionTime: null }));
  return {
    metadata: { name: "n1" },
    spec: { request: null, signerName: "" },
    status: { ...(types.length === 0 ? {} : { conditions }), certificate: "eA==" },
  };
}

test("withApproval() appends what kubectl appends, keeping the rest", () => {
  const got = withApproval(csrWith("Custom"), KUBECTL_APPROVE, NOW);
  assert.ok(got.ok);
  assert.equal(
    JSON.stringify(got.value.status),
    '{"conditions":[{"type":"Custom","status":"True","lastUpdateTime":null,"lastTransitionTime":null},' +
      '{"type":"Approved","status":"True","reason":"KubectlApprove",' +
      '"message":"This CSR was approved by kubectl certificate approve.",' +
      '"lastUpdateTime":"2026-01-01T10:00:00Z","lastTransitionTime":null}],"certificate":"eA=="}',
  );
});

test("withDenial() appends what kubectl appends; without a time the server fills it", () => {
  const got = withDenial(csrWith(), KUBECTL_DENY);
  assert.ok(got.ok);
  assert.deepEqual(got.value.status.conditions, [{
    type: "Denied",
    status: "True",
    reason: "KubectlDeny",
    message: "This CSR was denied by kubectl certificate deny.",
    lastUpdateTime: null,
    lastTransitionTime: null,
  }]);
});

test("withCondition() leaves out a text that is empty and a certificate that is absent", () => {
  const { certificate: _certificate, ...status } = csrWith().status;
  const got = withCondition({ ...csrWith(), status }, "Failed", { reason: "", message: "" });
  const times = { lastUpdateTime: null, lastTransitionTime: null };
  assert.deepEqual(got.status, { conditions: [{ type: "Failed", status: "True", ...times }] });
});

test("withApproval() and withDenial() do not change a CSR that has the condition", () => {
  const approved = csrWith("Approved");
  assert.deepEqual(withApproval(approved, KUBECTL_APPROVE, NOW), { ok: true, value: approved });
  const denied = csrWith("Denied");
  assert.deepEqual(withDenial(denied, KUBECTL_DENY, NOW), { ok: true, value: denied });
});

test("withApproval() and withDenial() refuse an opposite decision", () => {
  assert.deepEqual(withApproval(csrWith("Approved", "Denied"), KUBECTL_APPROVE, NOW), {
    ok: false,
    error: { present: "Denied", message: 'certificate signing request "n1" is already Denied' },
  });
  assert.deepEqual(withDenial(csrWith("Approved"), KUBECTL_DENY, NOW), {
    ok: false,
    error: { present: "Approved", message: 'certificate signing request "n1" is already Approved' },
  });
});

for (
  const { verb, username, own, want } of [
    {
      verb: "approve",
      username: "kubernetes-admin",
      own: {},
      want: ["TlsbootApprove", 'This CSR was approved by user "kubernetes-admin" with tlsboot x.'],
    },
    { verb: "deny", username: undefined, own: {}, want: ["TlsbootDeny", "This CSR was denied with tlsboot x."] },
    {
      verb: "deny",
      username: "jane\u001b[2J",
      own: { reason: "Why", message: "Because." },
      want: ["Why", 'Because. (denied by user "jane\\u001b[2J" with tlsboot x)'],
    },
  ] as const
) {
  test(`createDecisionText() names user and tool: ${want[1]}`, () => {
    const { reason, message } = createDecisionText(verb, { tool: "tlsboot x", username }, own);
    assert.deepEqual([reason, message], want);
  });
}

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
