import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import type { CheckKind } from "../approval/rules/checks.ts";
import { parseRequest } from "../request/parse_request.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { buildCsr, condition, type CsrOptions, servingOptions } from "../../tests/support/csr_builder.ts";
import { createRecords, type RecordEdit } from "../../tests/support/issued_records.ts";
import { createRequestView, type RequestViewInput } from "./create_request_view.ts";
import type { RequestView } from "./request_view.ts";

const NOW = new Date("2026-03-02T12:00:00Z");
const YEAR = 31_536_000;

const TOKEN = { id: "abc123", createdAt: "2026-03-02T10:00:00Z" };
const FIRST: CsrOptions = {
  commonName: "system:node:n7",
  username: "system:bootstrap:abc123",
  expirationSeconds: YEAR,
};
const RENEWAL: CsrOptions = { ...FIRST, username: "system:node:n7", groups: ["system:nodes"] };
const PERSON: CsrOptions = {
  signerName: "kubernetes.io/kube-apiserver-client",
  commonName: "jane",
  organizations: ["developers"],
  username: "admin",
  expirationSeconds: 30 * 86_400,
};
const WEB: CsrOptions = {
  signerName: "example.com/web",
  commonName: "",
  organizations: [],
  dnsNames: ["web.example.com"],
  usages: ["server auth"],
  username: "jane",
  groups: [],
};
/** The record of a certificate of n7 with another key. */
const N7: RecordEdit = {
  subject: "O=system:nodes,CN=system:node:n7",
  publicKeyFingerprint: "00".repeat(32),
  usages: ["digital signature", "client auth"],
  notBefore: "2026-03-01T00:00:00Z",
  notAfter: "2027-03-01T00:00:00Z",
  requester: { username: "system:bootstrap:zzz999", address: "10.0.0.7" },
};

async function view(options: CsrOptions, more: Partial<RequestViewInput> = {}): Promise<RequestView> {
  return createRequestView({ csr: await buildCsr(options), now: NOW, ...more });
}

function register(...edits: readonly RecordEdit[]): Pick<RequestViewInput, "register"> {
  return { register: createRecords(edits) };
}

function record(address: string): Pick<RequestViewInput, "record"> {
  const spec = { requestUID: "u1", address, userAgent: "kubelet/v1.37.2" };
  return { record: { metadata: { name: "csr-1" }, spec, status: {} } };
}

/** Creates the verdict of rules that leave a request to a person. */
function createHeldRules(what: CheckKind, fault: string): RequestViewInput["rules"] {
  const checks = [{ what, saw: "", outcome: "fails", fault }] as const;
  const trace = [{ policy: "p", rule: "r", mismatch: undefined, checks, outcome: "pending" }] as const;
  const hold = { kind: "NameClaimed", saw: "", fault, fix: "", names: [] } as const;
  const verdict = { kind: "pending", stage: "policies", policy: "p", rule: "r", message: fault, trace, hold } as const;
  return { verdict, others: [], origin: "p" };
}

function getKeyFingerprint(csr: CertificateSigningRequest): string {
  const request = parseRequest(csr.spec.request);
  assert.ok(request.ok);
  return hash("sha256", request.value.publicKeyDer);
}

for (
  const { name, options, more = {}, want } of [
    {
      name: "a first certificate with a token",
      options: FIRST,
      more: { token: TOKEN, ...register() },
      want:
        "node n7, with the token abc123 that was made 120m ago, asks for its first client certificate, for one year",
    },
    {
      name: "a first certificate with an unknown token",
      options: { ...FIRST, expirationSeconds: undefined },
      want: "node n7, with the token abc123, asks for a client certificate, for as long as the signer allows",
    },
    {
      name: "a token that has expired",
      options: FIRST,
      more: { token: { ...TOKEN, expiresAt: "2026-03-02T11:00:00Z" } },
      want: "node n7, with the token abc123 that was made 120m ago and expired 60m ago, asks for a client " +
        "certificate, for one year",
    },
    {
      name: "a token that is gone",
      options: FIRST,
      more: { token: { id: "abc123", isGone: true } },
      want: "node n7, with the token abc123, which no longer exists, asks for a client certificate, for one year",
    },
    {
      name: "a name that another machine holds",
      options: FIRST,
      more: { token: TOKEN, ...register(N7) },
      want: "a machine that calls itself node n7, with the token abc123 that was made 120m ago, asks for a client " +
        "certificate of that node, for one year",
    },
    {
      name: "a name whose certificate has expired",
      options: FIRST,
      more: { token: TOKEN, ...register({ ...N7, notAfter: "2026-03-01T12:00:00Z" }) },
      want: "node n7, with the token abc123 that was made 120m ago, asks for another client certificate, for one year",
    },
    {
      name: "a renewal",
      options: RENEWAL,
      more: register(N7),
      want: "node n7 asks for its next client certificate, for one year",
    },
    {
      name: "the kubelet of a real cluster, without a register",
      options: { ...RENEWAL, expirationSeconds: undefined },
      want: "node n7 asks for a client certificate, for as long as the signer allows",
    },
    {
      name: "a node that asks for another",
      options: { ...FIRST, username: "system:node:n3" },
      more: register(),
      want: "node n3 asks for the first client certificate of node n7, for one year",
    },
    {
      name: "a kubelet's request without a node",
      options: { ...FIRST, commonName: "n7", username: "jane" },
      want: "user jane asks for a kubelet's client certificate that names no node, for one year",
    },
    {
      name: "a first serving certificate",
      options: { ...servingOptions("n7"), ipAddresses: ["10.0.0.7"], expirationSeconds: YEAR },
      more: register(),
      want: "node n7 asks for its first serving certificate for n7.example and 10.0.0.7, for one year",
    },
    {
      name: "a serving certificate with many names",
      options: { ...servingOptions("n7"), dnsNames: ["a", "b", "c", "d", "e"] },
      want: "node n7 asks for a serving certificate for a, b, c and two more, for as long as the signer allows",
    },
    {
      name: "a serving certificate without a name",
      options: { ...servingOptions("n7"), dnsNames: [] },
      want: "node n7 asks for a serving certificate without a name, for as long as the signer allows",
    },
    {
      name: "a person's client certificate",
      options: PERSON,
      want: "user admin asks for a client certificate for user jane in the group developers, for 30 days",
    },
    {
      name: "a person's next client certificate",
      options: { ...PERSON, username: "jane", organizations: ["a", "b"], expirationSeconds: 5_400 },
      more: register({ ...N7, signerName: "kubernetes.io/kube-apiserver-client", subject: "CN=jane" }),
      want: "user jane asks for another client certificate for user jane in the groups a and b, for 90 minutes",
    },
    {
      name: "a client certificate without a user",
      options: { ...PERSON, commonName: "", organizations: [] },
      want: "user admin asks for a client certificate that names no user, for 30 days",
    },
    {
      name: "a client certificate with the holder of a token",
      options: { ...PERSON, organizations: [], username: "system:bootstrap:abc123" },
      more: { token: TOKEN },
      want: "the holder of the token abc123 that was made 120m ago asks for a client certificate for user jane, " +
        "for 30 days",
    },
    {
      name: "a service account and a custom signer",
      options: { ...WEB, username: "system:serviceaccount:shop:web", ipAddresses: ["10.0.0.80"] },
      want: "service account shop/web asks for a certificate from example.com/web for web.example.com and 10.0.0.80, " +
        "for as long as the signer allows",
    },
    {
      name: "a custom signer without a name",
      options: { ...WEB, dnsNames: [], expirationSeconds: 90_000 },
      want: "user jane asks for a certificate from example.com/web without a name, for 25 hours",
    },
    {
      name: "an anonymous client",
      options: { ...WEB, username: "system:anonymous", expirationSeconds: 86_400 },
      want: "an anonymous client asks for a certificate from example.com/web for web.example.com, for one day",
    },
    {
      name: "an unknown requester",
      options: { ...WEB, username: "", expirationSeconds: 3_600 },
      want: "an unknown requester asks for a certificate from example.com/web for web.example.com, for one hour",
    },
    {
      name: "a request that cannot be read",
      options: { ...FIRST, request: "bm90IFBFTQ==" },
      more: { token: TOKEN },
      want: "the holder of the token abc123 that was made 120m ago asks for a certificate from " +
        "kubernetes.io/kube-apiserver-client-kubelet, but the request cannot be read",
    },
    {
      name: "a decided request",
      options: { ...RENEWAL, conditions: [condition("Denied", null, "No")] },
      want: "node n7 asked for a client certificate, for one year",
    },
    {
      name: "names that look like words, and an escape sequence",
      options: {
        ...FIRST,
        commonName: "system:node:n7, which you know, asks for nothing\u001b[2J",
        username: "jane, your friend,",
      },
      want:
        'user "jane, your friend," asks for a client certificate of node "n7, which you know, asks for nothing\\x1b[2J", ' +
        "for one year",
    },
  ] as readonly {
    name: string;
    options: CsrOptions;
    more?: Partial<RequestViewInput>;
    want: string;
  }[]
) {
  test(`createRequestView() describes in a sentence ${name}`, async () => {
    assert.equal((await view(options, more)).sentence, want);
  });
}

for (
  const { name, options, more = {}, want } of [
    { name: "nothing about a plain first request", options: FIRST, more: { token: TOKEN, ...register() }, want: [] },
    {
      name: "nothing about a renewal from the same address",
      options: RENEWAL,
      more: { ...register(N7), ...record("10.0.0.7") },
      want: [],
    },
    {
      name: "a name that another key holds",
      options: FIRST,
      more: register(N7),
      want: [
        "node n7 already has a certificate until 2027-03-01T00:00:00Z, with another key: another machine may be claiming " +
        "the name",
      ],
    },
    {
      name: "a machine that the approver does not expect",
      options: FIRST,
      more: { ...register(), rules: createHeldRules("machine", "machine n7 is not in the inventory") },
      want: ["machine n7 is not in the inventory"],
    },
    {
      name: "a name that another machine has",
      options: WEB,
      more: { ...register(), rules: createHeldRules("holder", "web.example.com belongs to another machine") },
      want: ["web.example.com belongs to another machine"],
    },
    {
      name: "another address than the last time",
      options: RENEWAL,
      more: { ...register(N7), ...record("10.0.0.66") },
      want: ["it came from 10.0.0.66, but the last certificate was requested from 10.0.0.7"],
    },
    {
      name: "a token of another machine that has expired",
      options: FIRST,
      more: { token: { ...TOKEN, node: "n3", expiresAt: "2026-03-02T11:00:00Z" } },
      want: ["the token abc123 was made for node n3", "the token abc123 has since expired"],
    },
    {
      name: "a revoked last certificate",
      options: RENEWAL,
      more: register({ ...N7, status: { revocation: { name: "r", reason: "keyCompromise", time: null } } }),
      want: ["the last certificate is revoked: find out why before another one is issued"],
    },
    {
      name: "system:masters",
      options: { ...PERSON, organizations: ["system:masters"] },
      want: [
        "it asks for the group system:masters: its members may do everything, and only a new CA reliably ends that",
      ],
    },
    {
      name: "a person whom roles make an administrator",
      options: PERSON,
      more: { isAdministrator: true },
      want: ["roles already let this user or one of the groups do everything at the API"],
    },
    {
      name: "a node's name from the signer of people",
      options: { ...PERSON, commonName: "system:node:n7", organizations: ["system:nodes"] },
      want: ["Kubernetes reserves the user system:node:n7", "Kubernetes reserves the group system:nodes"],
    },
    {
      name: "a node that asks for another",
      options: { ...FIRST, username: "system:node:n3" },
      want: ["node n3 asks for the certificate of node n7, but a node asks for its own"],
    },
    {
      name: "a name in the certificate of another holder, and reports of nodes",
      options: { ...servingOptions("n7"), ipAddresses: ["10.0.0.3"] },
      more: {
        ...register({
          signerName: "kubernetes.io/kubelet-serving",
          subject: "O=system:nodes,CN=system:node:n3",
          ipAddresses: ["10.0.0.3"],
        }),
        reported: new Map([
          ["n3", { dns: ["n3.example"], ips: ["10.0.0.3"] }],
          ["n7", { dns: ["n7.example"], ips: ["10.0.0.7"] }],
        ]),
      },
      want: [
        "10.0.0.3 is in a certificate of node n3 that is valid until 2027-01-01T00:00:00Z",
        "node n3 reports 10.0.0.3 as its own",
        "node n7 does not report 10.0.0.3 as its own",
      ],
    },
    {
      name: "a request that its signer refuses",
      options: { ...FIRST, dnsNames: ["n7.example"] },
      want: [
        "an approval would not lead to a certificate, because the signer refuses the request: DNS subjectAltNames are not allowed",
      ],
    },
    {
      name: "a name that cannot be seen, and a CA",
      options: { ...WEB, commonName: "w\u202eeb", usages: ["cert sign"] },
      want: [
        'a name contains invisible characters: "w\\u202eeb"',
        "it asks to issue further certificates (usage cert sign)",
      ],
    },
    {
      name: "a request that cannot be read",
      options: { ...FIRST, request: null },
      want: ["the request cannot be read: PEM block type must be CERTIFICATE REQUEST"],
    },
  ] as readonly {
    name: string;
    options: CsrOptions;
    more?: Partial<RequestViewInput>;
    want: readonly string[];
  }[]
) {
  test(`createRequestView() warns of ${name}`, async () => {
    assert.deepEqual((await view(options, more)).warnings, want);
  });
}

test("createRequestView() warns of a key that another holder has, and of one that a renewal keeps", async () => {
  const csr = await buildCsr(RENEWAL);
  const key = { publicKeyFingerprint: getKeyFingerprint(csr) };
  const other = { ...N7, ...key, subject: "O=system:nodes,CN=system:node:n3" };
  const { warnings } = createRequestView({ csr, now: NOW, ...register(other, { ...N7, ...key }) });
  assert.deepEqual(warnings, [
    "a certificate of node n3 has the same key",
    "the last certificate has the same key, but a kubelet makes a new key for each renewal",
  ]);
});

test("createRequestView() treats a first request with the node's key as from the same machine", async () => {
  const csr = await buildCsr(FIRST);
  const same = createRequestView({
    csr,
    now: NOW,
    ...register({ ...N7, publicKeyFingerprint: getKeyFingerprint(csr) }),
  });
  assert.deepEqual(same.warnings, []);
  assert.equal(same.lastCertificate?.isSameKey, true);
  assert.match(same.sentence, /^node n7, .* asks for another client certificate, /);
});

test("createRequestView() compares a request with the last certificate of the same machine", async () => {
  const edits = [{ ...N7, notAfter: "2026-03-01T01:00:00Z" }, N7, {
    ...N7,
    subject: "O=system:nodes,CN=system:node:n8",
  }];
  const { lastCertificate, difference } = await view(
    { ...RENEWAL, usages: ["client auth", "digital signature", "key encipherment"], expirationSeconds: 86_400 },
    { ...register(...edits), ...record("10.0.0.66") },
  );
  assert.equal(lastCertificate?.notAfter, "2027-03-01T00:00:00Z");
  assert.equal(lastCertificate?.state, "valid");
  assert.deepEqual(
    difference?.map(({ what, before, now }) => `${what}: ${before} → ${now}`.replace(/SHA-256 [0-9a-f]+/g, "K")),
    [
      "usages: digital signature, client auth → client auth, digital signature, key encipherment",
      "lifetime: one year → one day",
      "key: K… → K…",
      "requester: the holder of token zzz999 → node n7",
      "address: 10.0.0.7 → 10.0.0.66",
    ],
  );
  assert.equal((await view(RENEWAL)).difference, undefined);
});

test("createRequestView() does not compare an issued request with its own certificate, or with a later one", async () => {
  const [before, own, after] = [{ ...N7, serialNumber: "01" }, { ...N7, request: { uid: "u1" } }, N7];
  const options = { ...RENEWAL, metadata: { uid: "u1" }, conditions: [condition("Approved")], certificate: "eA==" };
  const { lastCertificate } = await view(options, register(before, own, after));
  assert.equal(lastCertificate?.serialNumber, "01");
});

test("createRequestView() lists other open requests for the same node or the same names", async () => {
  const requests = await Promise.all([
    buildCsr(FIRST),
    buildCsr({ ...FIRST, name: "again", username: "system:bootstrap:zzz999", keyAlgorithm: "ecdsa-p384" }),
    buildCsr({ ...FIRST, name: "denied", conditions: [condition("Denied")] }),
    buildCsr({ ...FIRST, name: "n8", commonName: "system:node:n8" }),
    buildCsr({ ...RENEWAL, name: "same-key", conditions: [condition("Approved")] }),
  ]);
  const { others, warnings } = await view(FIRST, { requests });
  assert.deepEqual(others, [
    { name: "again", state: "pending", requestedBy: "the holder of token zzz999", shares: "node n7", sameKey: false },
    { name: "same-key", state: "approved", requestedBy: "node n7", shares: "node n7", sameKey: true },
  ]);
  assert.deepEqual(warnings, ["another open request asks for node n7 with another key: at most one can be genuine"]);
  assert.deepEqual((await view({ ...WEB, commonName: "x", name: "w1" }, { requests: [await buildCsr(WEB)] })).others, [
    { name: "csr-1", state: "pending", requestedBy: "user jane", shares: "web.example.com", sameKey: true },
  ]);
});

for (
  const { name, options, more = {}, want } of [
    {
      name: "a kubelet's client certificate",
      options: FIRST,
      want: [
        "act at the API as node n7: report its status, read the pods that run on it with their Secrets and ConfigMaps, " +
        "and ask for its next certificates",
      ],
    },
    {
      name: "a kubelet's serving certificate",
      options: servingOptions("n7"),
      want: [
        "serve TLS as the kubelet at n7.example, and so receive what the API server sends there, such as commands for pods",
      ],
    },
    {
      name: "a person's certificate",
      options: PERSON,
      want: [
        "act at the API as user jane, with everything that roles grant to that user",
        "act as a member of the group developers, with everything that roles grant to it",
      ],
    },
    {
      name: "an administrator's certificate",
      options: { ...PERSON, organizations: ["system:masters"] },
      want: [
        "do everything at the API, which no role can limit, because of the group system:masters",
        "act at the API as user jane, with everything that roles grant to that user",
      ],
    },
    {
      name: "a certificate whose roles grant everything",
      options: { ...PERSON, organizations: [] },
      more: { isAdministrator: true },
      want: [
        "do everything at the API, because roles grant it to this user or to one of the groups",
        "act at the API as user jane, with everything that roles grant to that user",
      ],
    },
    {
      name: "a certificate of a custom signer",
      options: { ...WEB, usages: ["server auth", "client auth", "code signing"] },
      want: [
        "log in as web.example.com where clients with certificates of example.com/web are accepted",
        "serve TLS as web.example.com to clients that trust certificates of example.com/web",
        "sign code",
      ],
    },
    {
      name: "a certificate without a purpose",
      options: { ...WEB, usages: ["digital signature"] },
      want: ["use its key for digital signature, but not as a TLS client or server"],
    },
  ] as readonly {
    name: string;
    options: CsrOptions;
    more?: Partial<RequestViewInput>;
    want: readonly string[];
  }[]
) {
  test(`createRequestView() lists what is allowed by ${name}`, async () => {
    assert.deepEqual((await view(options, more)).allows, want);
  });
}

test("createRequestView() returns plain data, with the verdict and the fixes", async () => {
  const fixed = { what: "names", saw: "none", outcome: "fails", fault: "there is none", fix: "ask for one" } as const;
  const rule = { policy: "web", rule: "r1", mismatch: undefined, checks: [fixed], outcome: "pending" } as const;
  const stage = "policies";
  const other = {
    kind: "approve",
    stage,
    policy: "kubelet-serving",
    rule: "serving",
    reason: "",
    message: "",
    trace: [],
  } as const;
  const verdict = {
    kind: "pending",
    stage,
    policy: "web",
    rule: "r1",
    message: "there is none",
    trace: [rule],
  } as const;
  const shown = await view(FIRST, {
    token: { ...TOKEN, description: "rack 4", usesLeft: 1 },
    rules: { verdict, others: [other], origin: "web" },
    ...record("10.0.0.7"),
  });
  assert.deepEqual(JSON.parse(JSON.stringify(shown)), shown);
  assert.equal(shown.verdict?.text, "left pending: there is none");
  assert.deepEqual(shown.changes, [
    "ask for one",
    'the built-in policy "kubelet-serving" would approve this request; add it to the approver\'s policies',
  ]);
  assert.deepEqual(shown.requester, {
    text: "the holder of token abc123",
    user: "system:bootstrap:abc123",
    groups: ["system:bootstrappers", "system:authenticated"],
    token: { ...TOKEN, description: "rack 4", usesLeft: 1 },
    address: "10.0.0.7",
    userAgent: "kubelet/v1.37.2",
  });
});
