import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, type CsrOptions, servingOptions } from "../../tests/support/csr_builder.ts";
import { parseRequest } from "../request/parse_request.ts";
import { type ApprovalRule, BUILTIN_POLICIES, INVENTORY_ONLY, type Policy } from "./policy.ts";
import { decideRequest, decideWith, type Known, listLocks, type Question, type Verdict } from "./decide_request.ts";
import type { Lookup } from "./evidence/ownership.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { omitUndefined } from "../lib/record.ts";
import { publicKeyPin } from "../pki/keys/key_names.ts";

const NOW = new Date("2026-03-02T10:30:00Z");
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
const NONE = { kind: "none" } as const;

async function ask(policies: readonly Policy[], edit: CsrOptions): Promise<Question> {
  const csr = await buildCsr(edit);
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  return { csr, request: request.value, policies, inventory: new Map([["n1", { dns: ["n1.example"], ips: [] }]]) };
}

/** Decides with the same answer for every permission, and records the questions. */
async function decide(
  policies: readonly Policy[],
  edit: CsrOptions,
  { answer = { kind: "found", value: true }, asked = [], ...known }: Partial<Known> & {
    readonly answer?: Lookup<boolean>;
    readonly asked?: string[];
  } = {},
): Promise<Verdict> {
  const answers: Omit<Known, "permissions"> = {
    now: NOW,
    revocation: NONE,
    token: NONE,
    approvals: { before: [], held: NONE },
    reported: NONE,
    certificates: NONE,
    claims: NONE,
    server: { dns: [], ips: [] },
    room: true,
    excess: NONE,
    ...known,
  };
  return await decideWith(await ask(policies, edit), { now: NOW }, (need) => {
    asked.push(need.kind === "permission" ? need.permission : need.kind);
    return need.kind === "permission"
      ? { permissions: new Map([[need.permission, answer]]) }
      : { [need.kind]: answers[need.kind] };
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
      name: "a denial after a rule that approves",
      policies: [createPolicy(APPROVING, STOLEN)],
      edit: OWN,
      kind: "deny",
      rule: "rule-2",
    },
    {
      name: "a denial in the next policy",
      policies: [BUILTIN_POLICIES.get("kubelet-serving")!, createPolicy(STOLEN)],
      edit: { ...servingOptions("n1"), dnsNames: ["n1.example"] },
      kind: "deny",
      rule: "rule-1",
    },
    {
      name: "a denial after one that does not deny",
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
      rule: "machine",
    },
    {
      name: "a policy after one for another signer",
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

test("decideRequest() approves nothing while a rule that could deny cannot be evaluated", async () => {
  const asking = createPolicy({ ...STOLEN, require: { permission: "stolen" } });
  assert.equal((await decide([asking], OWN)).kind, "deny");
  assert.equal((await decide([asking], OWN, { answer: { kind: "failed", message: "no answer" } })).kind, "unknown");
});

test("decideRequest() lists each evaluated rule once", async () => {
  const policies = [createPolicy(APPROVING, BY_SUBJECT)];
  const verdict = await decide(policies, { commonName: "system:node:n2" });
  assert.deepEqual(verdict.trace.map(({ policy, rule }) => `${policy}/${rule}`), [
    "own/rule-2",
    "always/machine",
    "kubelet-client/selfnodeclient",
    "kubelet-client/nodeclient",
  ]);
  const outcome = await decide(policies, { commonName: "system:node:n2" }, { answer: NONE });
  assert.deepEqual(outcome.trace.map(({ rule }) => rule), ["machine", "selfnodeclient", "nodeclient", "rule-1"]);
  assert.equal(outcome.kind, "approve");
});

for (
  const { policies, edit, message } of [
    { policies: [createPolicy(FOR_WEB)], edit: OWN, message: "the requester has no permission for it" },
    { policies: [], edit: SERVING, message: "there is no policy" },
    { policies: [createPolicy(FOR_WEB)], edit: SERVING, message: 'no rule of policy "own" applies to it' },
    {
      policies: [createPolicy(FOR_WEB), createPolicy(FOR_WEB)],
      edit: SERVING,
      message: 'no rule of the policies "own", "own" applies to it',
    },
    {
      policies: [createPolicy({})],
      edit: SERVING,
      message: 'rule "rule-1" of policy "own" leaves it to a person',
    },
  ]
) {
  test(`decideRequest() leaves a request pending because ${message}`, async () => {
    const verdict = await decide(policies, edit, { answer: { kind: "found", value: false } });
    assert.deepEqual([verdict.kind, verdict.message], ["pending", message]);
  });
}

test("decideRequest() requires the permissions of the rules that apply, each once", async () => {
  const policy = createPolicy(
    { require: { permission: "a" } },
    { require: { permission: "a" } },
    { require: {} },
    { ...FOR_WEB, require: { permission: "b" } },
  );
  const asked: string[] = [];
  await decide([policy], OWN, { asked, answer: NONE });
  assert.deepEqual(asked, ["revocation", "selfnodeclient", "nodeclient", "room", "a"]);
});

const TAKEN: NonNullable<Known["certificates"]> = {
  kind: "found",
  value: [{
    node: "n1",
    publicKeyFingerprint: "another",
    fingerprint: "f",
    notBefore: undefined,
    notAfter: new Date("2027-01-01T00:00:00Z"),
  }],
};
const APPROVING_TOKEN: NonNullable<Known["token"]> = {
  kind: "found",
  value: {
    metadata: { annotations: { "tlsboot/node": "n1", "tlsboot/approve": "true" } },
    type: "bootstrap.kubernetes.io/token",
    data: {},
  },
};
const REVOCATION: NonNullable<Known["revocation"]> = { kind: "found", value: "the requester is revoked" };
const UNCLAIMED: Partial<ApprovalRule> = {
  then: "approve",
  match: { signerNames: ["example.com/web"] },
  require: {
    names: { owned: false, atLeastOne: true, unclaimed: true, dns: ["*.lan"], ips: [], uris: [], emails: [] },
  },
  otherwise: "pending",
};
const SHOP: CsrOptions = { signerName: "example.com/web", commonName: "", organizations: [], dnsNames: ["shop.lan"] };
const OTHER_SHOP: NonNullable<Known["claims"]> = {
  kind: "found",
  value: [{ name: "shop.lan", holder: "other", publicKeyFingerprint: "another", notAfter: undefined }],
};
const EXCESS: NonNullable<Known["excess"]> = { kind: "found", value: "too many are held" };

// Each stage decides before the later ones, and needs none of their facts.
for (
  const { name, policies = [], edit = {}, known, want, asked } of [
    {
      name: "what is revoked, before a denial, a token and a hold",
      policies: [createPolicy(BY_SUBJECT)],
      known: { revocation: REVOCATION, token: APPROVING_TOKEN, certificates: TAKEN },
      want: "revocation deny Revoked: the requester is revoked",
      asked: ["revocation"],
    },
    {
      name: "a rule that denies, before a token",
      policies: [createPolicy(BY_SUBJECT)],
      known: { token: APPROVING_TOKEN },
      want:
        'denials deny PolicyDenied: Denied by rule "rule-1" of policy "own": it denies every request that it matches.',
      asked: ["revocation"],
    },
    {
      name: "a token that approves by itself, before a hold",
      known: { token: APPROVING_TOKEN, certificates: TAKEN },
      want:
        'token approve TokenApproved: Approved by bootstrap token "abcdef", which an unknown user created to approve ' +
        'node "n1".',
      asked: ["revocation", "token"],
    },
    {
      name: "a token for another node",
      edit: { commonName: "system:node:n2" },
      known: { token: APPROVING_TOKEN },
      want: 'token deny TokenRefused: Token "abcdef": the token is only for the client certificate of node "n1", but ' +
        'this request is for "system:node:n2" of signer kubernetes.io/kube-apiserver-client-kubelet.',
      asked: ["revocation", "token"],
    },
    {
      name: "a token that is gone",
      known: { token: { kind: "gone" } },
      want: 'token pending: bootstrap token "abcdef" is gone, so its limits are unknown',
      asked: ["revocation", "token"],
    },
    {
      name: "a token that cannot be read",
      known: { token: { kind: "failed", message: "no answer" } },
      want: "token unknown: no answer",
      asked: ["revocation", "token"],
    },
    {
      name: "a claimed name, before the permission",
      known: { certificates: TAKEN },
      want:
        "hold pending held by node n1: n1 already has a certificate until 2027-01-01T00:00:00Z; another machine may " +
        "be claiming its name",
      asked: ["revocation", "token", "certificates", "excess"],
    },
    {
      name: "a claimed name for which too many requests are held",
      known: { certificates: TAKEN, excess: EXCESS },
      want: "hold deny TooManyHeldRequests: too many are held",
      asked: ["revocation", "token", "certificates", "excess"],
    },
    {
      name: "certificates that cannot be read",
      known: { certificates: { kind: "failed", message: "no answer" } },
      want: "hold unknown: no answer",
      asked: ["revocation", "token", "certificates"],
    },
    {
      name: "a renewal, whose certificates do not matter",
      edit: OWN,
      known: { certificates: TAKEN },
      want: "kubelet client approve AutoApproved: Auto approving self kubelet client certificate after " +
        "SubjectAccessReview.",
      asked: ["revocation", "selfnodeclient"],
    },
    {
      name: "a renewal without any permission",
      edit: OWN,
      known: { answer: NONE },
      want: "policies pending: the requester has no permission for it",
      asked: ["revocation", "selfnodeclient", "nodeclient"],
    },
    {
      name: "a name that no one holds",
      policies: [createPolicy(UNCLAIMED)],
      edit: SHOP,
      known: {},
      want: 'policies approve PolicyApproved:own/rule-1: Approved by rule "rule-1" of policy "own": names shop.lan, ' +
        "holder shop.lan.",
      asked: ["revocation", "token", "room", "claims", "server"],
    },
    {
      name: "a name that another user holds",
      policies: [createPolicy(UNCLAIMED)],
      edit: SHOP,
      known: { claims: OTHER_SHOP },
      want:
        'policies pending held by shop.lan: rule "rule-1" of policy "own": shop.lan belongs to another machine: other ' +
        "holds it by an approved request",
      asked: ["revocation", "token", "room", "claims", "server", "excess"],
    },
    {
      name: "a name for which too many requests are held",
      policies: [createPolicy(UNCLAIMED)],
      edit: SHOP,
      known: { claims: OTHER_SHOP, excess: EXCESS },
      want: "policies deny TooManyHeldRequests: too many are held",
      asked: ["revocation", "token", "room", "claims", "server", "excess"],
    },
    {
      name: "a requester with too many pending requests",
      policies: [createPolicy(UNCLAIMED)],
      edit: SHOP,
      known: { room: false },
      want: "policies pending waiting: its requester has too many pending requests",
      asked: ["revocation", "token", "room"],
    },
  ] as readonly {
    readonly name: string;
    readonly policies?: readonly Policy[];
    readonly edit?: CsrOptions;
    readonly known: Parameters<typeof decide>[2];
    readonly want: string;
    readonly asked: readonly string[];
  }[]
) {
  test(`decideRequest() decides by the first stage with a verdict, and needs no further facts: ${name}`, async () => {
    const needs: string[] = [];
    const verdict = await decide(policies, edit, { ...known, asked: needs });
    const { stage, kind, hold, message } = verdict;
    const reason = "reason" in verdict ? ` ${verdict.reason}` : "";
    const state = hold !== undefined ? ` held by ${hold.names.join()}` : verdict.isWaiting === true ? " waiting" : "";
    assert.equal(`${stage} ${kind}${reason}${state}: ${message}`, want);
    assert.deepEqual(needs, asked);
  });
}

test("decideRequest() binds a limited token with every verdict except a denial", async () => {
  const limited = (limits: Readonly<Record<string, string>>): NonNullable<Known["token"]> => ({
    kind: "found",
    value: { metadata: { annotations: limits }, type: "bootstrap.kubernetes.io/token", data: {} },
  });
  const bound = async (token: NonNullable<Known["token"]>, known: Parameters<typeof decide>[2] = {}) =>
    (await decide([], {}, { ...known, token })).binding !== undefined;
  assert.ok(await bound(limited({ "tlsboot/node": "n1" })));
  assert.ok(await bound(limited({ "tlsboot/uses": "1" }), { certificates: TAKEN }));
  assert.ok(await bound(limited({ "tlsboot/uses": "1" }), { answer: NONE }));
  assert.ok(await bound(APPROVING_TOKEN));
  assert.ok(!await bound(limited({ "tlsboot/node": "n2" })));
  assert.ok(!await bound(limited({})));
  assert.ok(!await bound(limited({ "tlsboot/node": "n1" }), { revocation: REVOCATION }));
});

const PROVEN: Partial<ApprovalRule> = {
  match: { signerNames: ["kubernetes.io/kube-apiserver-client-kubelet"] },
  require: { attested: { kind: "tpm" } },
  then: "next",
  otherwise: "pending",
};

/** The token that a server gave for a proof of the node n1 and the key of the tests. */
async function createProvenToken(edit: Readonly<Record<string, string | undefined>> = {}): Promise<SecretObject> {
  const annotations = {
    "tlsboot/node": "n1",
    "tlsboot/approve": "true",
    "tlsboot/public-key": publicKeyPin((await ask([], {})).request),
    "tlsboot/attested": "tpm sha256:0a 2026-03-02T10:28:00Z",
    ...edit,
  };
  return { metadata: { annotations: omitUndefined(annotations) }, type: "bootstrap.kubernetes.io/token", data: {} };
}

for (
  const { name, rule = {}, edit = {}, token = {}, want } of [
    {
      name: "a proof",
      want: 'token approve: Approved by bootstrap token "abcdef", which node "n1" got for its proof: TPM with ' +
        "endorsement key sha256:0a, proven at 2026-03-02T10:28:00Z.",
    },
    {
      name: "a proof that is older than allowed",
      rule: { require: { attested: { maxAgeMs: 60_000 } } },
      want: 'policies pending: rule "rule-1" of policy "own": the proof is 2m0s old, and at most 1m0s is allowed',
    },
    {
      name: "a proof of another kind",
      token: { "tlsboot/attested": "ssh SHA256:0a 2026-03-02T10:28:00Z" },
      want: 'policies pending: rule "rule-1" of policy "own": the requester has proven its identity by ssh, ' +
        "not by tpm",
    },
    {
      name: "a token without a proof, although its creation is an approval",
      token: { "tlsboot/attested": undefined },
      want: 'policies pending: rule "rule-1" of policy "own": the requester has not proven its identity by tpm',
    },
    {
      name: "a proof for a token of any key",
      token: { "tlsboot/public-key": undefined },
      want: 'policies pending: rule "rule-1" of policy "own": the requester has not proven its identity by tpm',
    },
    {
      name: "a renewal by the certificate",
      edit: OWN,
      want: 'policies pending: rule "rule-1" of policy "own": the requester has not proven its identity by tpm',
    },
    {
      name: "a renewal by the certificate, with a rule that passes it on",
      rule: { otherwise: "next" },
      edit: OWN,
      want: "policies pending: the requester has not proven its identity by tpm",
    },
    {
      name: "a renewal that breaks another requirement of the rule",
      rule: { require: { attested: { kind: "tpm" }, lifetime: { mayBeAbsent: false } }, otherwise: "next" },
      edit: OWN,
      want: "policies pending: the requester has not proven its identity by tpm",
    },
    {
      name: "a renewal of a node that the rule does not allow",
      rule: {
        require: { attested: {}, subject: { commonNames: ["system:node:n2"], organizations: ["system:nodes"] } },
        otherwise: "next",
      },
      edit: OWN,
      want: "kubelet client approve: Auto approving self kubelet client certificate after SubjectAccessReview.",
    },
    {
      name: "a renewal that does not match the rule",
      rule: { match: { signerNames: ["kubernetes.io/*"], users: ["system:node:n2"] } },
      edit: OWN,
      want: "kubelet client approve: Auto approving self kubelet client certificate after SubjectAccessReview.",
    },
  ] as readonly {
    readonly name: string;
    readonly rule?: Partial<ApprovalRule>;
    readonly edit?: CsrOptions;
    readonly token?: Readonly<Record<string, string | undefined>>;
    readonly want: string;
  }[]
) {
  test(`decideRequest() approves only what is proven where a rule requires it: ${name}`, async () => {
    const known = { token: { kind: "found", value: await createProvenToken(token) } } as const;
    const { stage, kind, message } = await decide([createPolicy({ ...PROVEN, ...rule })], edit, known);
    assert.equal(`${stage} ${kind}: ${message}`, want);
  });
}

test("decideRequest() lists the facts that it needs", async () => {
  const question = await ask([], {});
  assert.deepEqual(decideRequest(question, { now: NOW }), { kind: "needs", needs: [{ kind: "revocation" }] });
  await assert.rejects(decideWith(question, { now: NOW }, () => ({})), /no answer about revocation/);
});

test("decideRequest() needs past approvals for a rate, and what a node reports only for names that it owns", async () => {
  for (
    const { edit, rule, want } of [
      { edit: SHOP, rule: { ...FOR_WEB, require: { rate: { max: 1, perMs: 1_000 } } }, want: "approvals" },
      { edit: SHOP, rule: FOR_WEB, want: "" },
    ]
  ) {
    const asked: string[] = [];
    await decide([createPolicy(rule)], edit, { asked });
    assert.equal(asked.filter((need) => /^(?:approvals|reported|server)$/.test(need)).join(), want);
  }
  const asked: string[] = [];
  await decide([BUILTIN_POLICIES.get("kubelet-serving")!], SERVING, { asked });
  assert.deepEqual(asked.filter((need) => /^(?:approvals|reported|server)$/.test(need)), [
    "approvals",
    "reported",
    "server",
  ]);
});

test("listLocks() lists the locks of a request in a fixed order", async () => {
  const rated = { require: { rate: { max: 1, perMs: 1_000 } } };
  const policies = [createPolicy(UNCLAIMED, rated, { ...FOR_WEB, ...rated })];
  assert.deepEqual(listLocks(await ask([], {})), ["node n1"]);
  assert.deepEqual(listLocks(await ask([createPolicy({ then: "approve" })], {})), ["node n1"]);
  assert.deepEqual(listLocks(await ask(policies, {})), ["requester system:bootstrap:abcdef", "node n1"]);
  assert.deepEqual(listLocks(await ask(policies, SHOP)), ["requester system:bootstrap:abcdef", "names"]);
  assert.deepEqual(listLocks(await ask([], SHOP)), []);
});
