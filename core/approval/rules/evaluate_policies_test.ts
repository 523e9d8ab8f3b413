import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions, servingOptions } from "../../../tests/support/csr_builder.ts";
import { parseRequest } from "../../request/parse_request.ts";
import { BUILTIN_POLICIES, type Policy, type RuleMatch } from "../policy.ts";
import {
  evaluateKubeletClient,
  evaluatePolicies,
  evaluatePolicy,
  findMatchingRules,
  findRequestingNode,
  type PolicyVerdict,
} from "./evaluate_policies.ts";
import type { NodeNames } from "../evidence/inventory.ts";
import type { Lookup, OwnershipEvidence } from "../evidence/ownership.ts";
import type { PolicyInput } from "./checks.ts";
import { RECOGNIZERS } from "../recognizers.ts";

const NOW = new Date("2026-03-02T10:30:00Z");

/** Creates the request of the kubelet of node `a`. */
const SERVING: CsrOptions = { ...servingOptions("a"), ipAddresses: ["10.0.0.1"] };

const INVENTORY = new Map<string, NodeNames>([
  ["a", { dns: ["a.example"], ips: ["10.0.0.1", "2001:db8::1"] }],
  ["b", { dns: ["b.example"], ips: ["10.0.0.2"] }],
]);

const NOTHING: OwnershipEvidence = {
  inventory: undefined,
  held: { kind: "none" },
  reported: { kind: "none" },
  certificates: { kind: "none" },
  server: { dns: ["boot.example"], ips: ["10.0.0.100"] },
};

function reporting(nodes: Readonly<Record<string, NodeNames>>): OwnershipEvidence["reported"] {
  return { kind: "found", value: new Map(Object.entries(nodes)) };
}

async function decide(
  edit: CsrOptions,
  evidence: Partial<OwnershipEvidence>,
  policy: Policy = BUILTIN_POLICIES.get("kubelet-serving")!,
  more: Partial<PolicyInput> = {},
): Promise<PolicyVerdict> {
  const csr = await buildCsr({ ...SERVING, ...edit });
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  return evaluatePolicy(policy, {
    csr,
    request: request.value,
    now: NOW,
    evidence: { ...NOTHING, ...evidence },
    permissions: new Map(),
    approvedBefore: [],
    ...more,
  });
}

const TRUSTING = BUILTIN_POLICIES.get("kubelet-serving-trusting")!;

test("evaluatePolicy() approves names that the inventory assigns to the node, and cites the evidence", async () => {
  const verdict = await decide({}, { inventory: INVENTORY });
  assert.equal(verdict.kind, "approve");
  assert.ok(verdict.kind === "approve");
  assert.equal(verdict.reason, "PolicyApproved:kubelet-serving/kubelet-serving");
  assert.match(
    verdict.message,
    /^Approved by rule "kubelet-serving" of policy "kubelet-serving": .*ownership a\.example by inventory, 10\.0\.0\.1 by inventory/,
  );
});

for (
  const { name, edit, message } of [
    {
      name: "a common name of another node",
      edit: { commonName: "system:node:b" },
      message: /common name "system:node:b" is not "system:node:a"/,
    },
    { name: "no organization", edit: { organizations: [] }, message: /organization "system:nodes" is missing/ },
    {
      name: "an extra organization",
      edit: { organizations: ["system:nodes", "system:masters"] },
      message: /organization "system:masters" is not allowed/,
    },
    {
      name: "an extra usage",
      edit: { usages: ["digital signature", "server auth", "client auth"] },
      message: /usage "client auth" is not allowed/,
    },
    { name: "no server auth", edit: { usages: ["digital signature"] }, message: /usage "server auth" is missing/ },
    { name: "no name at all", edit: { dnsNames: [], ipAddresses: [] }, message: /there is no DNS name or address/ },
    {
      name: "an e-mail address",
      edit: { emailAddresses: ["a@example"] },
      message: /e-mail address "a@example" is not allowed/,
    },
    { name: "a URI", edit: { uris: ["https://a.example"] }, message: /URI "https:\/\/a.example" is not allowed/ },
    {
      name: "a name that belongs to no node",
      edit: { dnsNames: ["auth.example"] },
      message: /the inventory does not give auth\.example to node a/,
    },
    {
      name: "only another node's address",
      edit: { dnsNames: [], ipAddresses: ["10.0.0.2"] },
      message: /10\.0\.0\.2 belongs to node b, by the inventory/,
    },
    {
      name: "the server's own address",
      edit: { ipAddresses: ["10.0.0.100"] },
      message: /10\.0\.0\.100 belongs to the API server/,
    },
    {
      name: "the server's own name",
      edit: { dnsNames: ["boot.example"] },
      message: /boot\.example belongs to the API server/,
    },
    { name: "a wildcard", edit: { dnsNames: ["*.example"] }, message: /"\*\.example" is a wildcard/ },
    { name: "mixed case", edit: { dnsNames: ["A.example"] }, message: /"A\.example" is not in lower case/ },
    { name: "a trailing dot", edit: { dnsNames: ["a.example."] }, message: /"a\.example\." ends with a dot/ },
    {
      name: "a longer name with the same end",
      edit: { dnsNames: ["evil-a.example"] },
      message: /does not give evil-a\.example/,
    },
    { name: "a short RSA key", edit: { keyAlgorithm: "rsa-2048" as const }, message: undefined },
  ]
) {
  test(`evaluatePolicy() ${message === undefined ? "approves" : "keeps pending"}: ${name}`, async () => {
    const verdict = await decide(edit, { inventory: INVENTORY });
    if (message === undefined) return assert.equal(verdict.kind, "approve");
    assert.equal(verdict.kind, "pending");
    assert.match(verdict.message, message);
    const failed = verdict.trace[0]?.checks.filter(({ outcome }) => outcome === "fails") ?? [];
    assert.ok(
      failed.length > 0 && failed.every(({ fix }) => fix !== undefined && fix !== ""),
      "each fault has its fix",
    );
    const faults = failed.map(({ fault }) => fault).join("; ");
    assert.equal(verdict.message, `rule "kubelet-serving" of policy "kubelet-serving": ${faults}`);
  });
}

const NO_EVIDENCE = { inventory: false, heldCertificate: false, trustNodeStatus: false };
const ADD = "is this machine's, add it to dns of node a in the inventory";
const LOOKS_LIKE_B = "find out why node a requests what looks like node b's; deny the request if you cannot";
const FAILED = { kind: "failed", message: "no answer" } as const;

for (
  const { name, value, evidence = {}, settings, kind = "pending", fix } of [
    { name: "a name that no node has", value: "x.example", fix: `if x.example ${ADD}` },
    {
      name: "a name that no node reports",
      value: "x.example",
      evidence: { reported: reporting({ b: { dns: [], ips: [] } }) },
      fix: `if x.example, which no other node reports, ${ADD}`,
    },
    { name: "a name below the node's own", value: "a.lan", fix: `if a.lan ${ADD}` },
    { name: "the name of another node", value: "b", fix: LOOKS_LIKE_B },
    { name: "a name below another node's", value: "b.lan", fix: LOOKS_LIKE_B },
    {
      name: "the name of a node that the inventory lacks",
      value: "b.lan",
      evidence: { inventory: new Map(), reported: reporting({ b: { dns: [], ips: [] } }) },
      fix: LOOKS_LIKE_B,
    },
    {
      name: "an address that another node reports",
      value: "10.0.0.7",
      evidence: { reported: reporting({ b: { dns: [], ips: ["10.0.0.7"] } }) },
      fix: LOOKS_LIKE_B,
    },
    { name: "localhost", value: "localhost", fix: "leave it out of the request" },
    { name: "a name below localhost", value: "a.localhost", fix: "leave it out of the request" },
    {
      name: "an inventory that the policy does not accept",
      value: "a.example",
      settings: NO_EVIDENCE,
      fix: "if it does, approve by hand: tlsboot approve",
    },
    {
      name: "unknown reports that the policy does not accept",
      value: "a.example",
      evidence: { reported: FAILED },
      settings: NO_EVIDENCE,
      fix: "if it does, approve by hand: tlsboot approve",
    },
    {
      name: "an unknown certificate",
      value: "a.example",
      evidence: { inventory: undefined, held: FAILED },
      kind: "unknown",
      fix: "it is retried automatically",
    },
    {
      name: "an unknown certificate that the policy does not accept",
      value: "a.example",
      evidence: { inventory: undefined, held: FAILED },
      settings: { ...NO_EVIDENCE, trustNodeStatus: true },
      fix: "if it does, approve by hand: tlsboot approve",
    },
  ] as readonly {
    readonly name: string;
    readonly value: string;
    readonly evidence?: Partial<OwnershipEvidence>;
    readonly settings?: Policy["evidence"];
    readonly kind?: PolicyVerdict["kind"];
    readonly fix: string;
  }[]
) {
  test(`evaluatePolicy() explains how to fix ${name}`, async () => {
    const names = value.startsWith("10.") ? { dnsNames: [], ipAddresses: [value] } : { dnsNames: [value] };
    const policy = BUILTIN_POLICIES.get("kubelet-serving")!;
    const verdict = await decide({ ipAddresses: [], ...names }, { inventory: INVENTORY, ...evidence }, {
      ...policy,
      evidence: settings ?? policy.evidence,
    });
    assert.equal(verdict.kind, kind);
    assert.equal(verdict.trace[0]?.checks.find(({ what }) => what === "ownership")?.fix, fix);
  });
}

test("evaluatePolicy() compares addresses in canonical form", async () => {
  const verdict = await decide({ dnsNames: [], ipAddresses: ["2001:0db8:0::0001"] }, { inventory: INVENTORY });
  assert.equal(verdict.kind, "approve");
});

test("evaluatePolicy() ignores other signers, other users and nodes outside of their group", async () => {
  for (
    const [edit, message] of [
      [{ signerName: "example.com/web" }, "signer example.com/web does not match"],
      [{ username: "alice" }, "requester alice does not match"],
      [{ groups: ["system:authenticated"] }, "requester is not in group system:nodes"],
    ] as const
  ) {
    const verdict = await decide(edit, { inventory: INVENTORY });
    assert.equal(verdict.kind, "pending");
    const place = { policy: "kubelet-serving", rule: "kubelet-serving" };
    assert.deepEqual(verdict.trace, [{ ...place, mismatch: message, checks: [], outcome: "next" }]);
  }
});

for (
  const [match, applies] of [
    [{ signerNames: ["a.example/b", "example.com/web"] }, true],
    [{ signerNames: ["a.example/b", "example.com/*"] }, true],
    [{ signerNames: ["example.com/we"] }, false],
    [{ signerNames: ["example.co*"] }, false],
    [{ signerNames: ["example.com/web"], users: ["alice", "web-*"] }, true],
    [{ signerNames: ["example.com/web"], users: ["alice"] }, false],
    [{ signerNames: ["example.com/web"], groups: ["web", "all"] }, true],
    [{ signerNames: ["example.com/web"], groups: ["web", "other"] }, false],
  ] as readonly (readonly [RuleMatch, boolean])[]
) {
  test(`a rule with match ${JSON.stringify(match)} ${applies ? "applies" : "does not apply"}`, async () => {
    const csr = await buildCsr({ signerName: "example.com/web", username: "web-1", groups: ["all", "web"] });
    const rule = { ...TRUSTING.rules[0]!, match };
    assert.deepEqual(findMatchingRules([TRUSTING, { ...TRUSTING, rules: [rule] }], csr), applies ? [rule] : []);
  });
}

for (
  const [username, groups, want] of [
    ["system:node:a", ["all", "system:nodes"], "a"],
    ["system:node:a", ["all"], undefined],
    ["system:bootstrap:abcdef", ["system:nodes"], undefined],
    ["system:node:", ["system:nodes"], undefined],
  ] as const
) {
  test(`findRequestingNode() of ${username} in ${groups}: ${want}`, async () => {
    assert.equal(findRequestingNode(await buildCsr({ username, groups })), want);
  });
}

test("evaluatePolicy() uses only the inventory for a node that it lists", async () => {
  const own = { dns: ["a.example"], ips: ["10.0.0.9"] };
  const verdict = await decide({ ipAddresses: ["10.0.0.9"] }, {
    inventory: INVENTORY,
    held: { kind: "found", value: own },
    reported: reporting({ a: own }),
  }, TRUSTING);
  assert.equal(verdict.kind, "pending");
});

test("evaluatePolicy() renews the names of the held certificate, and no more than these", async () => {
  const held = { kind: "found" as const, value: { dns: ["a.example"], ips: ["10.0.0.1"] } };
  assert.equal((await decide({}, { held })).kind, "approve");
  assert.equal((await decide({}, { held }, TRUSTING)).kind, "approve");
  assert.equal((await decide({ ipAddresses: ["10.0.0.1", "10.0.0.3"] }, { held })).kind, "pending");
});

test("evaluatePolicy() accepts a node's own status only where the policy does", async () => {
  const reported = reporting({ a: { dns: ["a.example"], ips: ["10.0.0.1"] } });
  assert.equal((await decide({}, { reported })).kind, "pending");
  assert.equal((await decide({}, { reported }, TRUSTING)).kind, "approve");
});

test("evaluatePolicy() gives no node an address that two nodes report", async () => {
  const both = { dns: ["a.example"], ips: ["10.0.0.1"] };
  const reported = reporting({ a: both, b: { dns: [], ips: ["10.0.0.1"] } });
  const verdict = await decide({}, { reported }, TRUSTING);
  assert.equal(verdict.kind, "pending");
  assert.match(verdict.message, /10\.0\.0\.1 belongs to node b too, by its own status/);
  // A node cannot revoke an assignment of the operator by a different report.
  assert.equal((await decide({}, { inventory: INVENTORY, reported }, TRUSTING)).kind, "approve");
});

for (
  const value of ["127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1", "169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1"]
) {
  test(`evaluatePolicy() gives no node ${value}, even if the inventory does`, async () => {
    const ips = [value.replace("::ffff:", "")];
    const verdict = await decide({ ipAddresses: [value] }, {
      inventory: new Map([["a", { dns: ["a.example"], ips }]]),
    });
    assert.equal(verdict.kind, "pending");
    assert.match(verdict.message, /belongs to no single machine/);
  });
}

test("evaluatePolicy() renews nothing that a second node reports, and nothing before it knows the reports of nodes", async () => {
  const held = { kind: "found" as const, value: { dns: ["a.example"], ips: ["10.0.0.1"] } };
  const taken = await decide({}, { held, reported: reporting({ b: { dns: [], ips: ["10.0.0.1"] } }) });
  assert.equal(taken.kind, "pending");
  assert.match(taken.message, /10\.0\.0\.1 belongs to node b too, by its own status/);
  const failed = await decide({}, { held, reported: { kind: "failed", message: "no answer" } });
  assert.equal(failed.kind, "unknown");
});

test("evaluatePolicies() evaluates rules that deny first, then policies in order: the first matching rule decides", async () => {
  const deny: Policy = {
    ...TRUSTING,
    name: "no",
    rules: [{ ...TRUSTING.rules[0]!, name: "never", require: {}, then: "deny" }],
  };
  const csr = await buildCsr(SERVING);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  const input: PolicyInput = {
    csr,
    request: request.value,
    now: NOW,
    evidence: { ...NOTHING, inventory: INVENTORY },
    permissions: new Map(),
    approvedBefore: [],
  };
  const denied = evaluatePolicies([deny, TRUSTING], input);
  assert.equal(denied.kind, "deny");
  assert.equal(denied.message, 'Denied by rule "never" of policy "no": it denies every request that it matches.');
  assert.equal(evaluatePolicies([TRUSTING, deny], input).kind, "deny");
  const strict: Policy = {
    ...deny,
    rules: [{ ...TRUSTING.rules[0]!, require: { lifetime: { mayBeAbsent: false } }, otherwise: "deny" }],
  };
  assert.equal(evaluatePolicies([strict, TRUSTING], input).kind, "deny");
  assert.equal(evaluatePolicies([TRUSTING, strict], input).kind, "approve");
  const none = evaluatePolicies([{ ...deny, rules: [] }], input);
  assert.equal(none.kind, "pending");
  assert.equal(none.message, 'no rule of policy "no" applies to it');
});

test("evaluatePolicy() tries again when evidence is missing, and never denies because of it", async () => {
  const failed = { kind: "failed" as const, message: "cannot list nodes: connection refused" };
  const strict: Policy = { ...TRUSTING, rules: TRUSTING.rules.map((rule) => ({ ...rule, otherwise: "deny" })) };
  const verdict = await decide({}, { reported: failed }, strict);
  assert.equal(verdict.kind, "unknown");
  assert.match(verdict.message, /cannot list nodes: connection refused/);
});

test("evaluatePolicy() denies what a rule denies", async () => {
  const strict: Policy = { ...TRUSTING, rules: TRUSTING.rules.map((rule) => ({ ...rule, otherwise: "deny" })) };
  const verdict = await decide({ dnsNames: ["*.example"] }, {}, strict);
  assert.ok(verdict.kind === "deny");
  assert.equal(verdict.reason, "PolicyDenied");
  assert.match(
    verdict.message,
    /^Denied by rule "kubelet-serving" of policy "kubelet-serving-trusting": .*wildcard.*\.$/,
  );
});

test("evaluatePolicy() counts earlier approvals within the time", async () => {
  const at = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000);
  const past = { policy: "kubelet-serving", rule: "kubelet-serving" };
  const approvedBefore = Array.from({ length: 10 }, (_, index) => ({ ...past, at: at(index * 5 + 1) }));
  const verdict = await decide({}, { inventory: INVENTORY }, undefined, { approvedBefore });
  assert.equal(verdict.kind, "pending");
  assert.match(verdict.message, /10 requests of this requester were approved within 1h0m0s, 10 are allowed/);
  const earlier = Array.from({ length: 10 }, () => ({ ...past, at: at(61) }));
  const others = Array.from({ length: 10 }, () => ({ ...past, policy: "another", at: at(1) }));
  for (const before of [earlier, others]) {
    assert.equal((await decide({}, { inventory: INVENTORY }, undefined, { approvedBefore: before })).kind, "approve");
  }
});

async function decideKubeletClient(edit: CsrOptions, granted: readonly string[], failed = ""): Promise<PolicyVerdict> {
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
    { name: "an extra name", edit: { dnsNames: ["x"] }, granted: BOTH, rule: undefined },
    {
      name: "an extra organization",
      edit: { organizations: ["system:nodes", "x"] },
      granted: BOTH,
      rule: undefined,
    },
    { name: "a missing organization", edit: { organizations: [] }, granted: BOTH, rule: undefined },
    {
      name: "an extra usage",
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
    const verdict = await decideKubeletClient(edit, granted);
    assert.equal(verdict.kind, rule === undefined ? "pending" : "approve");
    assert.equal(verdict.rule, rule);
  });
}

/** Formats a verdict, and each rule with the values of its checks. A failed check is in brackets. */
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
    const verdict = await decideKubeletClient(edit, granted, failed);
    assert.deepEqual(format(verdict), want);
    for (const { outcome, fix } of verdict.trace.flatMap(({ checks }) => checks)) {
      assert.equal(fix === undefined, outcome === "holds");
    }
  });
}
