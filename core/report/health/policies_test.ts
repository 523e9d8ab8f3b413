import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApprovalRule, BUILTIN_POLICIES, type Policy } from "../../approval/policy.ts";
import { SSH_VECTORS, type SshVector } from "../../../tests/support/ssh_vectors.ts";
import { checkPolicyRules, checkRuleFile } from "./policies.ts";

const RULE: ApprovalRule = {
  name: "a",
  match: { signerNames: ["example.com/web"] },
  require: { subject: { commonNames: ["*"], organizations: [] } },
  then: "approve",
  otherwise: "pending",
};

function check(...rules: readonly Partial<ApprovalRule>[]): readonly string[] {
  const evidence = { inventory: true, heldCertificate: true, trustNodeStatus: false };
  const named = rules.map((rule, index) => ({ ...RULE, name: "abc"[index] ?? "", ...rule }));
  const policy: Policy = { name: "p", description: "", evidence, rules: named };
  return checkPolicyRules(policy, { file: "p.yaml", text: "" }).map(({ message }) => message);
}

for (
  const { name, rules, want } of [
    { name: "one rule", rules: [{}], want: [] },
    {
      name: "a rule of the same signer after one that decides",
      rules: [{}, {}],
      want: [/"b" .* never reached: rule "a"/],
    },
    { name: "a rule after one that passes on", rules: [{ otherwise: "next" }, {}], want: [] },
    {
      name: "a rule after one that passes on what it does not deny",
      rules: [{ then: "next", otherwise: "deny" }, {}],
      want: [],
    },
    {
      name: "a rule after one of fewer users",
      rules: [{ match: { signerNames: ["example.com/web"], users: ["x"] } }, {}],
      want: [],
    },
    {
      name: "a rule of some users after one of all",
      rules: [{}, { match: { signerNames: ["example.com/web"], users: ["x"] } }],
      want: [/"b" .* never reached/],
    },
    {
      name: "a rule after one of a whole domain",
      rules: [{ match: { signerNames: ["example.com/*"] } }, {}],
      want: [/"b" .* never reached/],
    },
    {
      name: "a rule after one of a group",
      rules: [{ match: { signerNames: ["example.com/web"], groups: ["g"] } }, {}],
      want: [],
    },
    {
      name: "a rule before one that denies everything, which is evaluated first",
      rules: [{}, { require: {}, then: "deny", otherwise: "next" }],
      want: [/"a" .* never reached: rule "b"/],
    },
    {
      name: "a rule that denies some",
      rules: [{ then: "deny", otherwise: "next" }, {}],
      want: [],
    },
    {
      name: "a usage that is required and not allowed",
      rules: [{ require: { usages: { allowed: ["server auth"], required: ["client auth"] } } }],
      want: [/never applies: it requires the usage "client auth"/],
    },
    {
      name: "a lifetime that no request may have",
      rules: [{ require: { lifetime: { maxMs: 60_000, mayBeAbsent: false } } }],
      want: [/never applies: it allows less than ten minutes/],
    },
    {
      name: "a name that is required and not allowed",
      rules: [{
        require: { names: { owned: false, atLeastOne: true, dns: [], ips: [], uris: [], emails: [] } },
      }],
      want: [/never applies: it requires a DNS name or an address/],
    },
    {
      name: "a signer that Kubernetes does not have",
      rules: [{ match: { signerNames: ["kubernetes.io/kubelet-server"] } }],
      want: [/never applies: Kubernetes has no signer kubernetes\.io\/kubelet-server/],
    },
    {
      name: "a proof of requests that have none",
      rules: [{ require: { attested: {} } }],
      want: [
        /never applies: it requires a proof, which only requests for kubernetes\.io\/kube-apiserver-client-kubelet/,
      ],
    },
    {
      name: "a proof of requests that may have one",
      rules: [{ match: { signerNames: ["kubernetes.io/*"] }, require: { attested: { kind: "tpm" } } }],
      want: [],
    },
  ] satisfies readonly { name: string; rules: readonly Partial<ApprovalRule>[]; want: readonly RegExp[] }[]
) {
  test(`checkPolicyRules() checks ${name}`, () => {
    const messages = check(...rules);
    assert.equal(messages.length, want.length, messages.join("\n"));
    for (const [index, pattern] of want.entries()) assert.match(messages[index] ?? "", pattern);
  });
}

test("checkRuleFile() reports that a stock kubelet cannot renew if a policy requires a proof", () => {
  const text = `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: proven
rules:
- {name: by-tpm, match: {signerNames: [kubernetes.io/*]}, require: {attested: tpm}, then: next}
`;
  const report = checkRuleFile(text, "p.yaml");
  assert.deepEqual(report?.findings.map(({ severity }) => severity), ["ok"]);
  assert.match(
    report?.sentences.join() ?? "",
    /"by-tpm" .* requires a proof .* stock kubelet gives no proof when it renews/,
  );
});

test("checkPolicyRules() finds nothing in the policies that come with tlsboot", () => {
  for (const policy of BUILTIN_POLICIES.values()) {
    assert.deepEqual(checkPolicyRules(policy, { file: "", text: "" }), []);
  }
});

test("checkRuleFile() checks a known_hosts file as an inventory", () => {
  const [{ type, publicKey }] = SSH_VECTORS as readonly [SshVector];
  const describe = (text: string) =>
    checkRuleFile(text, "hosts")?.findings.map(({ check, severity, message }) => `${check} ${severity} ${message}`);
  assert.deepEqual(describe(`n1 ${type} ${publicKey}\n`), ["inventory ok the inventory can be used"]);
  assert.deepEqual(describe(`n* ${type} ${publicKey}\n`), [
    'inventory error "hosts" cannot be used: line 1: "n*" is a wildcard; list each machine by its name',
  ]);
});
