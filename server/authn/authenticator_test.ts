import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { parseTokenFile } from "../../core/token/token_file.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { createTokenSecret, parseBootstrapToken, toTokenSecretName } from "../../core/token/token_secret.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { CREDENTIAL_ID_KEY } from "../../core/kube/user.ts";
import { statusFromError } from "../../core/kube/status/status.ts";
import { DEFAULT_ISSUER } from "../../core/service_accounts/issuer_documents.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { unwrap } from "../../tests/support/test_authority.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import type { AuthnRequest, AuthnResult } from "./authentication.ts";
import { type AuthenticatorDeps, createAuthenticator } from "./authenticator.ts";

const NOW = "2026-11-25T12:00:00Z";
const BOOTSTRAP = "abcdef.0123456789abcdef";
const ca = await createClientCa(new Date(NOW));
const roots = [ca.certificate];
const peer = verifiedPeer(ca, new Date(NOW), { commonName: "alice", organizations: ["devs"] });

function secrets(expiration = new Date("2026-11-25T13:00:00Z")): Record<string, SecretObject> {
  const token = parseBootstrapToken(BOOTSTRAP);
  assert.ok(token.ok);
  const secret = createTokenSecret({
    token: token.value,
    expiration,
    usages: ["authentication"],
    groups: [],
    description: "",
  });
  return { [toTokenSecretName("abcdef")]: secret };
}

async function authenticate(
  request: Partial<AuthnRequest>,
  edit: Partial<AuthenticatorDeps> = {},
): Promise<AuthnResult> {
  const file = parseTokenFile('static,bob,17,"ops,dev"\n', "tokens.csv");
  assert.ok(file.ok);
  const authenticator = createAuthenticator({
    clock: createFakeClock(NOW),
    logger: createMemoryLogger(),
    clientCas: () => roots,
    tokenFile: file.value,
    bootstrapTokens: { getSecret: (name) => Promise.resolve(secrets()[name]) },
    anonymous: true,
    apiAudiences: [DEFAULT_ISSUER],
    ...edit,
  });
  return await authenticator({ authorizationHeader: undefined, peerCertificate: undefined, ...request });
}

const unverified = { kind: "unverified", reason: "CERT_HAS_EXPIRED", chain: [] } as const;
const bearer = (token: string) => ({ authorizationHeader: `Bearer ${token}` });

const cases: readonly {
  name: string;
  request: () => Partial<AuthnRequest> | Promise<Partial<AuthnRequest>>;
  edit?: Partial<AuthenticatorDeps>;
  want: string;
}[] = [
  { name: "nothing", request: () => ({}), want: "system:anonymous [system:unauthenticated]" },
  { name: "nothing, anonymous off", request: () => ({}), edit: { anonymous: false }, want: "unauthorized" },
  {
    name: "a certificate",
    request: async () => ({ peerCertificate: await peer }),
    want: "alice [devs system:authenticated]",
  },
  {
    name: "a certificate and a token: the certificate wins",
    request: async () => ({ peerCertificate: await peer, ...bearer("static") }),
    want: "alice [devs system:authenticated]",
  },
  {
    name: "a certificate and a bad token: the certificate wins",
    request: async () => ({ peerCertificate: await peer, ...bearer("wrong") }),
    want: "alice [devs system:authenticated]",
  },
  { name: "a bad certificate", request: () => ({ peerCertificate: unverified }), want: "unauthorized" },
  {
    name: "a bad certificate and a good token",
    request: () => ({ peerCertificate: unverified, ...bearer("static") }),
    want: "bob [ops dev system:authenticated]",
  },
  {
    name: "a certificate without a client CA is ignored",
    request: async () => ({ peerCertificate: await peer }),
    edit: { clientCas: () => [] },
    want: "system:anonymous [system:unauthenticated]",
  },
  { name: "a static token", request: () => bearer("static"), want: "bob [ops dev system:authenticated]" },
  {
    name: "a bootstrap token",
    request: () => bearer(BOOTSTRAP),
    want: "system:bootstrap:abcdef [system:bootstrappers system:authenticated]",
  },
  {
    name: "an expired bootstrap token",
    request: () => bearer(BOOTSTRAP),
    edit: { bootstrapTokens: { getSecret: (name) => Promise.resolve(secrets(new Date(NOW))[name]) } },
    want: "unauthorized",
  },
  {
    name: "an unknown bootstrap token",
    request: () => bearer("fedcba.0123456789abcdef"),
    want: "unauthorized",
  },
  {
    name: "a static token in the form of a bootstrap token: the file wins",
    request: () => bearer(BOOTSTRAP),
    edit: { tokenFile: unwrap(parseTokenFile(`${BOOTSTRAP},carol,18\n`, "tokens.csv")) },
    want: "carol [system:authenticated]",
  },
  {
    name: "a token of a service account, which is never looked up as a bootstrap token",
    request: () => bearer("header.payload.signature"),
    edit: {
      bootstrapTokens: { getSecret: () => Promise.reject(new Error("looked up")) },
      serviceAccountTokens: () =>
        Promise.resolve({ kind: "user", user: { username: "sa", uid: "", groups: [], extra: {} } }),
    },
    want: "sa [system:authenticated]",
  },
  { name: "an unknown token", request: () => bearer("wrong"), want: "unauthorized" },
  {
    name: "another scheme",
    request: () => ({ authorizationHeader: "Basic dTpw" }),
    want: "system:anonymous [system:unauthenticated]",
  },
];

for (const { name, request, edit, want } of cases) {
  test(`createAuthenticator() answers ${want}: ${name}`, async () => {
    const result = await authenticate(await request(), edit);
    assert.equal(
      result.kind === "unauthorized" ? result.kind : `${result.user.username} [${result.user.groups.join(" ")}]`,
      want,
    );
  });
}

for (
  const error of [
    new AppError("unreachable", "cannot read etcd: 192.0.2.7:2379 is away"),
    new AppError("io", "cannot read etcd: read its log"),
    new AppError("storage_corrupt", "cannot read a value"),
    new Error("disk I/O error"),
  ]
) {
  test(`createAuthenticator() neither refuses a bootstrap token nor reveals why after: ${error.message}`, async () => {
    const getSecret = () => Promise.reject(error);
    const asked = authenticate(bearer(BOOTSTRAP), { bootstrapTokens: { getSecret } });
    await assert.rejects(asked, (found) => {
      assert.ok(isAppError(found, "unreachable"));
      assert.equal(found.message, "cannot read bootstrap tokens");
      assert.equal(statusFromError(found).status.code, 503);
      return true;
    });
  });
}

for (
  const { name, known, newest, want, reads } of [
    {
      name: "accepts one that was deleted within half a second",
      known: true,
      newest: false,
      want: "user",
      reads: [500],
    },
    { name: "accepts one that was just created", known: false, newest: true, want: "user", reads: [500, 0] },
    { name: "refuses one that does not exist", known: false, newest: false, want: "unauthorized", reads: [500, 0] },
  ]
) {
  test(`createAuthenticator() ${name}: a bootstrap token`, async () => {
    const asked: number[] = [];
    const getSecret = (secretName: string, withinMs = 0) => {
      asked.push(withinMs);
      const exists = withinMs === 0 ? newest : known;
      return Promise.resolve(exists ? secrets()[secretName] : undefined);
    };
    const result = await authenticate(bearer(BOOTSTRAP), { bootstrapTokens: { getSecret } });
    assert.equal(result.kind, want);
    assert.deepEqual(asked, reads);
  });
}

test("createAuthenticator() refuses a token even when no token method is enabled", async () => {
  const authenticate = createAuthenticator({
    clock: createFakeClock(NOW),
    logger: createMemoryLogger(),
    clientCas: () => [],
    anonymous: true,
    apiAudiences: [DEFAULT_ISSUER],
  });
  const result = await authenticate({ ...bearer("x"), peerCertificate: undefined });
  assert.deepEqual(result, { kind: "unauthorized", failures: ["invalid bearer token"] });
});

test("createAuthenticator() returns the uid of a static user", async () => {
  const result = await authenticate(bearer("static"));
  assert.ok(result.kind === "user");
  assert.equal(result.user.uid, "17");
});

test("createAuthenticator() warns of an extra space and ignores the token", async () => {
  const result = await authenticate({ authorizationHeader: "Bearer  static" });
  assert.equal(result.kind, "anonymous");
  assert.equal(result.warnings?.length, 1);
});

test("createAuthenticator() appends no group to a user that already has an authentication group", async () => {
  const file = parseTokenFile('t,u,1,"system:unauthenticated"\n', "tokens.csv");
  assert.ok(file.ok);
  const result = await authenticate(bearer("t"), { tokenFile: file.value });
  assert.deepEqual(result.kind === "user" && result.user.groups, ["system:unauthenticated"]);
});

test("createAuthenticator() logs why a bootstrap token was refused, never the token", async () => {
  const logger = createMemoryLogger();
  const result = await authenticate(bearer("abcdef.aaaaaaaaaaaaaaaa"), { logger });
  assert.equal(result.kind, "unauthorized");
  const log = JSON.stringify([logger.entries, result]);
  assert.ok(log.includes("has invalid value for key token-secret."), log);
  assert.ok(!log.includes("aaaaaaaaaaaaaaaa") && !log.includes("0123456789abcdef"), log);
});

test("createAuthenticator() accepts a token that is meant for this server, among other audiences", async () => {
  const audiences = ["other", "https://kubernetes.default.svc"];
  const result = await authenticate({ ...bearer("static"), audiences });
  assert.deepEqual(result.kind === "user" && result.audiences, ["https://kubernetes.default.svc"]);
  assert.deepEqual(await authenticate({ ...bearer("static"), audiences: ["other"] }), {
    kind: "unauthorized",
    failures: ["invalid bearer token"],
  });
});

test("createAuthenticator() reports no failure without credentials when anonymous requests are off", async () => {
  assert.deepEqual(await authenticate({}, { anonymous: false }), { kind: "unauthorized", failures: [] });
});

test("createAuthenticator() waits until an accepted certificate is reported, once for each request", async () => {
  const reported: string[] = [];
  const onClientCertificate: AuthenticatorDeps["onClientCertificate"] = async ({ subject }) => {
    await new Promise((resolve) => setImmediate(resolve));
    reported.push(subject.commonName);
  };
  const request = { peerCertificate: await peer };
  assert.equal((await authenticate(request, { onClientCertificate })).kind, "user");
  assert.deepEqual(reported, ["alice"]);
  await authenticate({ ...request, isRepeated: true }, { onClientCertificate });
  assert.deepEqual(reported, ["alice"]);
});

const REVOKED = { revocations: { findRefusal: () => "revoked" } };

for (
  const { name, request, edit = {}, want } of [
    {
      name: "a revoked certificate",
      request: async () => ({ peerCertificate: await peer }),
      want: { failures: ['credential of "alice": revoked'], refusal: 'credential of "alice": revoked' },
    },
    {
      name: "a revoked certificate and an unknown token",
      request: async () => ({ peerCertificate: await peer, ...bearer("wrong") }),
      want: {
        failures: ['credential of "alice": revoked', "invalid bearer token"],
        refusal: 'credential of "alice": revoked',
      },
    },
    {
      name: "the token of a revoked user",
      request: () => bearer("static"),
      want: { failures: ['credential of "bob": revoked'], refusal: 'credential of "bob": revoked' },
    },
    {
      name: "a bad certificate, which identifies no user",
      request: () => ({ peerCertificate: unverified }),
      want: { failures: ["client certificate: CERT_HAS_EXPIRED"] },
    },
    {
      name: "a token that its method refuses",
      request: () => bearer("a.b.c"),
      edit: { serviceAccountTokens: () => Promise.resolve({ kind: "failed", reason: "expired" }) },
      want: { failures: ["invalid bearer token", "expired"] },
    },
    {
      name: "the expired certificate of a node that may not recover",
      request: () => ({ peerCertificate: unverified }),
      edit: { nodeRecovery: { authenticate: () => Promise.resolve({ kind: "failed", reason: "too old" }) } },
      want: { failures: ["client certificate: CERT_HAS_EXPIRED", "too old"] },
    },
    {
      name: "the expired certificate of a node that is refused",
      request: () => ({ peerCertificate: unverified }),
      edit: {
        nodeRecovery: { authenticate: () => Promise.resolve({ kind: "failed", reason: "used", isGenuine: true }) },
      },
      want: { failures: ["client certificate: CERT_HAS_EXPIRED", "used"], refusal: "used" },
    },
    {
      name: "an expired certificate that identifies no node",
      request: () => ({ peerCertificate: unverified }),
      edit: { nodeRecovery: { authenticate: () => Promise.resolve({ kind: "none" }) } },
      want: { failures: ["client certificate: CERT_HAS_EXPIRED"] },
    },
  ] as readonly {
    name: string;
    request: () => Partial<AuthnRequest> | Promise<Partial<AuthnRequest>>;
    edit?: Partial<AuthenticatorDeps>;
    want: { failures: readonly string[]; refusal?: string };
  }[]
) {
  test(`createAuthenticator() says why it refuses ${name}`, async () => {
    assert.deepEqual(await authenticate(await request(), { ...REVOKED, ...edit }), { kind: "unauthorized", ...want });
  });
}

test("createAuthenticator() looks up revocations with the certificate of the user", async () => {
  const asked: unknown[] = [];
  const revocations: AuthenticatorDeps["revocations"] = {
    findRefusal(user, certificate) {
      asked.push([user.username, certificate?.fingerprint, certificate?.serialNumber]);
      return undefined;
    },
  };
  const { chain: [der] } = await peer;
  const fingerprint = createHash("sha256").update(der!).digest("hex");
  await authenticate({ peerCertificate: await peer }, { revocations });
  await authenticate(bearer("static"), { revocations });
  const recovered = { username: "n1", uid: "", groups: [], extra: { [CREDENTIAL_ID_KEY]: ["X509SHA256=f1"] } };
  const nodeRecovery: AuthenticatorDeps["nodeRecovery"] = {
    authenticate: () => Promise.resolve({ kind: "user", user: recovered }),
  };
  await authenticate({ peerCertificate: unverified }, { revocations, nodeRecovery });
  const [[, , serialNumber]] = asked as [[string, string, string]];
  assert.notEqual(serialNumber, "");
  assert.deepEqual(asked, [["alice", fingerprint, serialNumber], ["bob", undefined, undefined], ["n1", "f1", ""]]);
});

test("createAuthenticator() marks a node that presented its expired certificate as recovering", async () => {
  const user = { username: "system:node:n1", uid: "", groups: ["system:nodes"], extra: {} };
  const nodeRecovery: AuthenticatorDeps["nodeRecovery"] = {
    authenticate: () => Promise.resolve({ kind: "user", user }),
  };
  const recovering = await authenticate({ peerCertificate: unverified }, { nodeRecovery });
  assert.ok(recovering.kind === "user");
  assert.deepEqual([recovering.user.username, recovering.isRecovering], ["system:node:n1", true]);
  for (const request of [{}, { peerCertificate: await peer }, bearer("static")]) {
    const result = await authenticate(request, { nodeRecovery });
    assert.equal(result.kind === "user" && result.isRecovering === true, false);
  }
});

test("createAuthenticator() passes on the audiences and annotations of a service account's token", async () => {
  const user = { username: "sa", uid: "", groups: ["system:authenticated"], extra: {} };
  const own = { audiences: ["vault"], auditAnnotations: { a: "1" } };
  const serviceAccountTokens: AuthenticatorDeps["serviceAccountTokens"] = (token) =>
    Promise.resolve(token === "a.b.c" ? { kind: "user", user, ...own } : { kind: "none" });
  assert.deepEqual(await authenticate(bearer("a.b.c"), { serviceAccountTokens }), { kind: "user", user, ...own });
  const result = await authenticate(bearer(BOOTSTRAP), { serviceAccountTokens });
  assert.deepEqual(result, {
    kind: "user",
    user: {
      username: "system:bootstrap:abcdef",
      uid: "",
      groups: ["system:bootstrappers", "system:authenticated"],
      extra: {},
    },
    audiences: [DEFAULT_ISSUER],
  });
});

for (const isRepeated of [false, true]) {
  test(`createAuthenticator() ${isRepeated ? "does not record" : "records"} the use of a token${isRepeated ? " again" : ""}`, async () => {
    const records: unknown[] = [];
    const limited = (
      annotations: Readonly<Record<string, string>>,
    ): NonNullable<AuthenticatorDeps["bootstrapTokens"]> => ({
      getSecret(name) {
        const secret = secrets()[name];
        return Promise.resolve(secret && { ...secret, metadata: { ...secret.metadata, annotations } });
      },
      onUsed: (id, address) => void records.push(["used", id, address]),
      onRefused: (id, { kind }, address) => void records.push(["refused", id, kind, address]),
    });
    const request = { ...bearer(BOOTSTRAP), remoteAddress: "10.0.1.7", ...(isRepeated ? { isRepeated } : {}) };
    assert.equal((await authenticate(request, { bootstrapTokens: limited({}) })).kind, "user");
    const refused = await authenticate(request, { bootstrapTokens: limited({ "tlsboot/cidr": "10.0.0.0/24" }) });
    const reason = "bootstrap token abcdef: the token is for clients in 10.0.0.0/24, not from 10.0.1.7";
    assert.deepEqual(refused, { kind: "unauthorized", failures: [reason], refusal: reason });
    const want = [["used", "abcdef", "10.0.1.7"], ["refused", "abcdef", "network", "10.0.1.7"]];
    assert.deepEqual(records, isRepeated ? [] : want);
  });
}
