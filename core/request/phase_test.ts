import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { formatConditionCell, getCsrPhase, isApproved, isDenied, isFailed } from "./phase.ts";

function csrWith(types: readonly string[], certificate = "", status = "True"): CertificateSigningRequest {
  const conditions = types.map((type) => ({
    type,
    status,
    reason: `${type}Reason`,
    message: "m",
    lastUpdateTime: null,
    lastTransitionTime: null,
  }));
  return {
    metadata: { name: "c" },
    spec: { request: null, signerName: "" },
    status: { conditions, ...(certificate === "" ? {} : { certificate }) },
  };
}

for (
  const { types, certificate = "", text, kind } of [
    { types: [], text: "Pending", kind: "pending" },
    { types: ["Custom"], text: "Pending", kind: "pending" },
    { types: ["Approved"], text: "Approved", kind: "approved" },
    { types: ["Approved"], certificate: "eA==", text: "Approved,Issued", kind: "issued" },
    { types: [], certificate: "eA==", text: "Pending,Issued", kind: "pending" },
    { types: ["Denied"], text: "Denied", kind: "denied" },
    { types: ["Approved", "Failed"], text: "Approved,Failed", kind: "failed" },
    { types: ["Failed"], text: "Pending,Failed", kind: "failed" },
    { types: ["Approved", "Denied"], text: "Denied", kind: "denied" },
    { types: ["Approved", "Failed"], certificate: "eA==", text: "Approved,Failed,Issued", kind: "failed" },
  ]
) {
  test(`formatConditionCell() and phaseOf() answer for: ${text} (${types.join()})`, () => {
    assert.equal(formatConditionCell(csrWith(types, certificate)), text);
    assert.equal(getCsrPhase(csrWith(types, certificate)).kind, kind);
  });
}

test("getCsrPhase() carries reason, message and certificate", () => {
  assert.deepEqual(getCsrPhase(csrWith(["Denied"])), { kind: "denied", reason: "DeniedReason", message: "m" });
  assert.deepEqual(getCsrPhase(csrWith(["Approved"])), { kind: "approved", reason: "ApprovedReason" });
  assert.deepEqual(getCsrPhase(csrWith(["Approved"], "eA==")), { kind: "issued", certificate: "eA==" });
});

test("isApproved() requires Approved and no Denied, whatever the status", () => {
  assert.equal(isApproved(csrWith(["Approved"], "", "False")), true);
  assert.equal(isApproved(csrWith(["Approved", "Denied"])), false);
  assert.equal(isDenied(csrWith(["Denied"], "", "False")), true);
});

test("isFailed() counts a status of True or none", () => {
  assert.equal(isFailed(csrWith(["Failed"])), true);
  assert.equal(isFailed(csrWith(["Failed"], "", "")), true);
  assert.equal(isFailed(csrWith(["Failed"], "", "False")), false);
});
