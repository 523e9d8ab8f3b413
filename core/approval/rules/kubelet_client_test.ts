import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../../../tests/support/csr_builder.ts";
import { RECOGNIZERS } from "../recognizers.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { PolicyVerdict } from "./evaluate_policies.ts";
import { evaluateKubeletClient } from "./kubelet_client.ts";
import type { Lookup } from "../evidence/ownership.ts";

async function decide(edit: CsrOptions, granted: readonly string[], failed = ""): Promise<PolicyVerdict> {
  const csr = await buildCsr(edit);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  const answer = (permission: string): Lookup<boolean> =>
    failed === permission
      ? { kind: "failed", message: "connection refused" }
      : { kind: "found", value: granted.includes(permission) };
  return evaluateKubeletClient({
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
  }, []);
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
}

/** Formats a verdict, and each rule with what its checks saw. A check that does not hold is in brackets. */
function format({ kind, message, trace }: PolicyVerdict): readonly string[] {
  const rules = trace.map(({ rule, mismatch, outcome, checks }) => {
    const saw = checks.map(({ what, saw, outcome }) => outcome === "holds" ? `${what} ${saw}` : `[${what} ${saw}]`);
    return `${rule} ${outcome}: ${mismatch ?? saw.join(", ")}`;
  });
  return [`${kind}: ${message}`, ...rules];
}

const SHAPE = "organization system:nodes, dnsNames none, emailAddresses none, ipAddresses none, uris none, " +
  "commonName system:node:n1, usages digital signature, client auth";
const NOT_SELF = `selfnodeclient next: ${SHAPE}, [requester system:bootstrap:abcdef]`;
const MANY = "[organization none], [dnsNames x, y], emailAddresses none, ipAddresses none, uris none, " +
  "commonName system:node:n1, [usages none]";

for (
  const { name, edit, granted = BOTH, failed, want } of [
    {
      name: "a renewal",
      edit: OWN,
      want: [
        "approve: Auto approving self kubelet client certificate after SubjectAccessReview.",
        `selfnodeclient approve: ${SHAPE}, requester system:node:n1, permission selfnodeclient`,
      ],
    },
    {
      name: "a permission that is missing",
      edit: {},
      granted: [],
      want: [
        "pending: no rule approves it",
        NOT_SELF,
        `nodeclient next: ${SHAPE}, [permission nodeclient]`,
      ],
    },
    {
      name: "several faults",
      edit: { organizations: [], dnsNames: ["x", "y"], usages: [] },
      want: [
        "pending: no rule approves it",
        `selfnodeclient next: ${MANY}, [requester system:bootstrap:abcdef]`,
        `nodeclient next: ${MANY}`,
      ],
    },
    {
      name: "another signer",
      edit: { signerName: "example.com/web" },
      want: [
        "pending: no rule approves it",
        "selfnodeclient next: signer example.com/web does not match",
        "nodeclient next: signer example.com/web does not match",
      ],
    },
    {
      name: "a review that fails",
      edit: {},
      failed: "nodeclient",
      want: [
        'unknown: rule "nodeclient": connection refused',
        NOT_SELF,
        `nodeclient unknown: ${SHAPE}, [permission nodeclient]`,
      ],
    },
  ] as readonly {
    readonly name: string;
    readonly edit: CsrOptions;
    readonly granted?: readonly string[];
    readonly failed?: string;
    readonly want: readonly string[];
  }[]
) {
  test(`evaluateKubeletClient() explains ${name}`, async () => {
    const verdict = await decide(edit, granted, failed);
    assert.deepEqual(format(verdict), want);
    for (const { outcome, fix } of verdict.trace.flatMap(({ checks }) => checks)) {
      assert.equal(fix === undefined, outcome === "holds");
    }
  });
}
