import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { planApproval, RECOGNIZERS } from "./plan_approval.ts";
import { parseRequest } from "../csr/request.ts";
import type { PolicyVerdict } from "./evaluate_policies.ts";
import { evaluateKubeletClient, findKubeletClientPermissions } from "./kubelet_client.ts";
import type { Lookup } from "./ownership.ts";

async function decide(edit: CsrOptions, granted: readonly string[], failed = ""): Promise<PolicyVerdict> {
  const csr = await buildCsr(edit);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  const answer = (permission: string): Lookup<boolean> =>
    failed === permission
      ? { kind: "failed", message: "connection refused" }
      : { kind: "found", value: granted.includes(permission) };
  return evaluateKubeletClient([], {
    csr,
    request: request.value,
    now: new Date("2026-03-02T10:30:00Z"),
    evidence: {
      inventory: undefined,
      held: { kind: "none" },
      reported: { kind: "none" },
      certificates: { kind: "none" },
      server: { dns: [], ips: [] },
    },
    permissions: new Map(RECOGNIZERS.map(({ permission }) => [permission, answer(permission)])),
    approvedBefore: [],
  });
}

const OWN: CsrOptions = { username: "system:node:n1", groups: ["system:nodes"] };
const BOTH = ["selfnodeclient", "nodeclient"];

for (
  const { name, edit, granted, rule } of [
    { name: "a first certificate", edit: {}, granted: BOTH, rule: "nodeclient" },
    { name: "a renewal", edit: OWN, granted: BOTH, rule: "selfnodeclient" },
    { name: "a renewal without selfnodeclient", edit: OWN, granted: ["nodeclient"], rule: "nodeclient" },
    { name: "no permission", edit: {}, granted: [], rule: undefined },
    {
      name: "another node's name",
      edit: { ...OWN, commonName: "system:node:n2" },
      granted: ["selfnodeclient"],
      rule: undefined,
    },
    { name: "a name too many", edit: { dnsNames: ["x"] }, granted: BOTH, rule: undefined },
    {
      name: "an organization too many",
      edit: { organizations: ["system:nodes", "x"] },
      granted: BOTH,
      rule: undefined,
    },
    { name: "a missing organization", edit: { organizations: [] }, granted: BOTH, rule: undefined },
    {
      name: "a usage too many",
      edit: { usages: ["client auth", "digital signature", "server auth"] },
      granted: BOTH,
      rule: undefined,
    },
    {
      name: "another signer",
      edit: { signerName: "kubernetes.io/kube-apiserver-client" },
      granted: BOTH,
      rule: undefined,
    },
  ] as const
) {
  test(`evaluateKubeletClient() ${rule === undefined ? "keeps pending" : `approves by ${rule}`}: ${name}`, async () => {
    const verdict = await decide(edit, granted);
    assert.equal(verdict.kind, rule === undefined ? "pending" : "approve");
    assert.equal(verdict.rule, rule);
  });

  test(`evaluateKubeletClient() reviews and decides as the approver does: ${name}`, async () => {
    const csr = await buildCsr(edit);
    const facts = parseRequest(csr.spec.request);
    const plan = planApproval(csr);
    assert.ok(facts.ok);
    const asked = plan.kind === "review" ? plan.attempts.map(({ permission }) => permission) : [];
    assert.deepEqual(findKubeletClientPermissions(csr, facts.value), asked);
    const verdict = await decide(edit, granted);
    const attempt = plan.kind === "review"
      ? plan.attempts.find(({ permission }) => (granted as readonly string[]).includes(permission))
      : undefined;
    assert.equal(verdict.kind === "approve" ? verdict.message : undefined, attempt?.message);
  });
}

test("evaluateKubeletClient() returns unknown when the review fails", async () => {
  assert.equal((await decide({}, BOTH, "nodeclient")).kind, "unknown");
});
