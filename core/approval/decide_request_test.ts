import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions, servingOptions } from "../../tests/support/csr_builder.ts";
import { parseRequest } from "../csr/request.ts";
import { BUILTIN_POLICIES, INVENTORY_ONLY } from "./builtin_policies.ts";
import { decideRequest, findRequestPermissions } from "./decide_request.ts";
import type { PolicyVerdict } from "./evaluate_policies.ts";
import type { Lookup } from "./ownership.ts";
import type { ApprovalRule, Policy } from "./policy.ts";

const OWN: CsrOptions = { username: "system:node:n1", groups: ["system:nodes"] };

function createPolicy(...rules: readonly Partial<ApprovalRule>[]): Policy {
  return {
    name: "own",
    description: "",
    evidence: { inventory: false, heldCertificate: false, trustNodeStatus: false },
    rules: rules.map((rule, index) => ({
      name: `rule-${index + 1}`,
      match: { signerNames: ["kubernetes.io/*"] },
      require: {},
      then: "pending",
      otherwise: "next",
      ...rule,
    })),
  };
}

const STOLEN: Partial<ApprovalRule> = {
  then: "deny",
  match: { signerNames: ["kubernetes.io/*"], users: ["system:node:n1"] },
};
const BY_SUBJECT: Partial<ApprovalRule> = {
  then: "deny",
  require: { subject: { commonNames: ["system:node:n1"], organizations: [] } },
};
const APPROVING: Partial<ApprovalRule> = {
  then: "approve",
  require: {
    subject: { commonNames: ["system:node:*"], organizations: ["system:nodes"] },
    usages: { allowed: ["digital signature", "client auth"], required: [] },
  },
};

const FOR_WEB: Partial<ApprovalRule> = { match: { signerNames: ["example.com/web"] } };
const SERVING: CsrOptions = { ...servingOptions("n1"), dnsNames: [] };

async function decide(
  policies: readonly Policy[],
  edit: CsrOptions,
  answer: Lookup<boolean> = { kind: "found", value: true },
): Promise<PolicyVerdict> {
  const csr = await buildCsr(edit);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  return decideRequest(policies, {
    csr,
    request: request.value,
    now: new Date("2026-03-02T10:30:00Z"),
    evidence: {
      inventory: new Map([["n1", { dns: ["n1.example"], ips: [] }]]),
      held: { kind: "none" },
      reported: { kind: "none" },
      certificates: { kind: "none" },
      server: { dns: [], ips: [] },
    },
    permissions: new Map(
      findRequestPermissions(policies, csr, request.value).map((permission) => [permission, answer]),
    ),
    approvedBefore: [],
  });
}

for (
  const { name, policies, edit, kind, rule } of [
    { name: "without a policy", policies: [], edit: OWN, kind: "approve", rule: "selfnodeclient" },
    { name: "a renewal by a denied user", policies: [createPolicy(STOLEN)], edit: OWN, kind: "deny", rule: "rule-1" },
    {
      name: "a denied user for another name",
      policies: [createPolicy(STOLEN)],
      edit: { ...OWN, commonName: "system:node:n2" },
      kind: "deny",
      rule: "rule-1",
    },
    {
      name: "another user",
      policies: [createPolicy(STOLEN)],
      edit: { ...OWN, username: "system:node:n2", commonName: "system:node:n2" },
      kind: "approve",
      rule: "selfnodeclient",
    },
    {
      name: "a denied name with a token",
      policies: [createPolicy(BY_SUBJECT)],
      edit: {},
      kind: "deny",
      rule: "rule-1",
    },
    {
      name: "a denial behind a rule that approves",
      policies: [createPolicy(APPROVING, STOLEN)],
      edit: OWN,
      kind: "deny",
      rule: "rule-2",
    },
    {
      name: "a denial in the policy behind",
      policies: [BUILTIN_POLICIES.get("kubelet-serving")!, createPolicy(STOLEN)],
      edit: { ...servingOptions("n1"), dnsNames: ["n1.example"] },
      kind: "deny",
      rule: "rule-1",
    },
    {
      name: "a denial behind one that does not deny",
      policies: [createPolicy({ then: "deny", require: { lifetime: { mayBeAbsent: false } } }, STOLEN)],
      edit: OWN,
      kind: "deny",
      rule: "rule-2",
    },
    {
      name: "a policy that would approve a machine that is held",
      policies: [INVENTORY_ONLY, createPolicy(APPROVING)],
      edit: { commonName: "system:node:n2" },
      kind: "pending",
      rule: "nodeclient",
    },
    {
      name: "a policy behind one for another signer",
      policies: [createPolicy(FOR_WEB), createPolicy({ then: "approve" })],
      edit: SERVING,
      kind: "approve",
      rule: "rule-1",
    },
    {
      name: "a rule that makes no decision, evaluated after the two rules",
      policies: [createPolicy({ then: "pending" })],
      edit: OWN,
      kind: "approve",
      rule: "selfnodeclient",
    },
    {
      name: "a rule that denies otherwise, evaluated after the two rules",
      policies: [createPolicy({ ...APPROVING, otherwise: "deny" })],
      edit: OWN,
      kind: "approve",
      rule: "selfnodeclient",
    },
  ] as const
) {
  test(`decideRequest() returns ${kind} by ${rule}: ${name}`, async () => {
    const verdict = await decide(policies, edit);
    assert.equal(verdict.kind, kind, verdict.message);
    assert.equal(verdict.rule, rule);
  });
}

test("decideRequest() approves nothing while a rule that denies is unknown", async () => {
  const asking = createPolicy({ ...STOLEN, require: { permission: "stolen" } });
  assert.equal((await decide([asking], OWN)).kind, "deny");
  assert.equal((await decide([asking], OWN, { kind: "failed", message: "no answer" })).kind, "unknown");
});

test("decideRequest() lists each evaluated rule once", async () => {
  const verdict = await decide([createPolicy(APPROVING, BY_SUBJECT)], { commonName: "system:node:n2" });
  assert.deepEqual(verdict.trace.map(({ policy, rule }) => `${policy}/${rule}`), [
    "own/rule-2",
    "kubelet-client/selfnodeclient",
    "kubelet-client/nodeclient",
  ]);
  const outcome = await decide([createPolicy(APPROVING, BY_SUBJECT)], { commonName: "system:node:n2" }, {
    kind: "none",
  });
  assert.deepEqual(outcome.trace.map(({ rule }) => rule), ["selfnodeclient", "nodeclient", "rule-1"]);
  assert.equal(outcome.kind, "approve");
});

for (
  const { policies, edit, message } of [
    { policies: [createPolicy(FOR_WEB)], edit: OWN, message: "the requester may not have it" },
    { policies: [], edit: SERVING, message: "there is no policy" },
    { policies: [createPolicy(FOR_WEB)], edit: SERVING, message: 'no rule of policy "own" is about it' },
    {
      policies: [createPolicy(FOR_WEB), createPolicy(FOR_WEB)],
      edit: SERVING,
      message: 'no rule of the policies "own", "own" is about it',
    },
    {
      policies: [createPolicy({})],
      edit: SERVING,
      message: 'rule "rule-1" of policy "own" leaves it to a person',
    },
  ]
) {
  test(`decideRequest() leaves a request pending because ${message}`, async () => {
    const verdict = await decide(policies, edit, { kind: "found", value: false });
    assert.deepEqual([verdict.kind, verdict.message], ["pending", message]);
  });
}

test("findRequestPermissions() finds the permissions of the rules that apply", async () => {
  const csr = await buildCsr(OWN);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  const policy = createPolicy(
    { require: { permission: "a" } },
    { require: { permission: "a" } },
    { require: {} },
    { ...FOR_WEB, require: { permission: "b" } },
  );
  assert.deepEqual(findRequestPermissions([policy], csr, request.value), ["selfnodeclient", "nodeclient", "a"]);
});
