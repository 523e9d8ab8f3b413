import assert from "node:assert/strict";
import { test } from "node:test";
import { notFound } from "../../core/kube/status/status.ts";
import { serviceAccountKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodeClaims, parseTokenSigner, signJwt, type TokenClaims } from "../../core/service_accounts/jwt.ts";
import { DEFAULT_ISSUER } from "../../core/service_accounts/issuer_documents.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import type { MethodResult } from "./authentication.ts";
import { createServiceAccountTokenAuthenticator, type ServiceAccountTokenDeps } from "./service_account_tokens.ts";

const NOW = "2026-11-25T12:00:00Z";
const SECONDS = Date.parse(NOW) / 1000;
const INVALIDATED = "service account token has been invalidated";

async function createSigner() {
  const signer = parseTokenSigner((await generatePrivateKey("ecdsa-p256")).toPem());
  assert.ok(signer.ok);
  return signer.value;
}

const signer = await createSigner();
const other = await createSigner();
const claims: TokenClaims = {
  issuer: DEFAULT_ISSUER,
  subject: "system:serviceaccount:team:app",
  audiences: [DEFAULT_ISSUER],
  issuedAt: SECONDS,
  notBefore: SECONDS,
  expiry: SECONDS + 3600,
  id: "id",
  namespace: "team",
  account: { name: "app", uid: "u" },
};
const sign = (edit: Partial<TokenClaims> = {}, by = signer) => signJwt(by, encodeClaims({ ...claims, ...edit }));

const object = (uid: string, deletedAt?: number): KubeObject => ({
  metadata: {
    uid,
    ...(deletedAt === undefined ? {} : { deletionTimestamp: new Date(deletedAt * 1000).toISOString() }),
  },
});
const OBJECTS: Readonly<Record<string, KubeObject>> = {
  "/registry/serviceaccounts/team/app": object("u"),
  "/registry/serviceaccounts/team/going": object("u", SECONDS - 60),
  "/registry/serviceaccounts/team/gone": object("u", SECONDS - 61),
  "/registry/secrets/team/s": object("su"),
  "/registry/secrets/team/gone": object("su", SECONDS - 61),
  "/registry/pods/team/p": { ...object("pu"), spec: { nodeName: "n", serviceAccountName: "app" } } as KubeObject,
  "/registry/minions/n": object("nu"),
};

/** Creates the authenticator, and records the keys that it reads and the uses that it counts. */
function createWorld(edit: Partial<ServiceAccountTokenDeps> = {}) {
  const uses: string[] = [];
  const verified: number[] = [];
  const counting = {
    ...signer.key,
    verify(data: Uint8Array, signature: Uint8Array) {
      verified.push(data.length);
      return signer.key.verify(data, signature);
    },
  };
  const authenticate = createServiceAccountTokenAuthenticator({
    clock: createFakeClock(NOW),
    storage: {
      get(key) {
        const found = OBJECTS[key];
        return Promise.resolve(found && { key, revision: 1, object: found, bytes: new Uint8Array(), size: 0 });
      },
    },
    issuers: [DEFAULT_ISSUER],
    keys: [counting],
    apiAudiences: [DEFAULT_ISSUER, "api"],
    countUse: (use) => void uses.push(use),
    ...edit,
  });
  return { authenticate, uses, verified };
}

function describe(result: MethodResult): string {
  if (result.kind === "failed") return result.reason;
  return result.kind === "user" ? result.user.username : "none";
}

const USER = "system:serviceaccount:team:app";

for (
  const { name, token, want } of [
    { name: "of this server", token: sign(), want: USER },
    { name: "that is not a JWT", token: "abcdef.0123456789abcdef", want: "none" },
    { name: "of another issuer", token: sign({ issuer: "https://other" }), want: "none" },
    { name: "without an issuer", token: signJwt(signer, { sub: "s" }), want: "none" },
    { name: "whose issuer is a number", token: signJwt(signer, { iss: 1 }), want: "none" },
    { name: "that is not JSON", token: "eyA.eyA.AA", want: "none" },
    { name: "of another key", token: sign({}, other), want: "invalid signature, no keys found" },
    {
      name: "with a claim of another type",
      token: signJwt(signer, { iss: DEFAULT_ISSUER, exp: "soon" }),
      want: "the token has a claim of the wrong type",
    },
    { name: "that has expired", token: sign({ expiry: SECONDS - 61 }), want: "service account token has expired" },
    {
      name: "for others",
      token: sign({ audiences: ["vault"] }),
      want: `token audiences ["vault"] is invalid for the target audiences ["${DEFAULT_ISSUER}" "api"]`,
    },
    {
      name: "of a missing account",
      token: sign({ account: { name: "missing", uid: "u" } }),
      want: notFound(serviceAccountKind, "missing").message,
    },
    {
      name: "of an account that was created again",
      token: sign({ account: { name: "app", uid: "old" } }),
      want: "service account UID (u) does not match claim (old)",
    },
    {
      name: "of an account that is being deleted",
      token: sign({ account: { name: "going", uid: "u" } }),
      want: "system:serviceaccount:team:going",
    },
    {
      name: "of an account that was deleted a minute ago",
      token: sign({ account: { name: "gone", uid: "u" } }),
      want: "service account team/gone has been deleted",
    },
    { name: "bound to a Secret", token: sign({ secret: { name: "s", uid: "su" } }), want: USER },
    {
      name: "bound to a Secret of another uid",
      token: sign({ secret: { name: "s", uid: "old" } }),
      want: "secret UID (su) does not match service account secret ref claim (old)",
    },
    { name: "bound to a missing Secret", token: sign({ secret: { name: "missing", uid: "su" } }), want: INVALIDATED },
    { name: "bound to a deleted Secret", token: sign({ secret: { name: "gone", uid: "su" } }), want: INVALIDATED },
    {
      name: "bound to a Secret and a missing pod",
      token: sign({ secret: { name: "s", uid: "su" }, pod: { name: "missing", uid: "pu" } }),
      want: INVALIDATED,
    },
    { name: "bound to a missing pod", token: sign({ pod: { name: "missing", uid: "pu" } }), want: INVALIDATED },
    { name: "bound to a node", token: sign({ node: { name: "n", uid: "nu" } }), want: USER },
    { name: "bound to a missing node", token: sign({ node: { name: "missing", uid: "nu" } }), want: INVALIDATED },
    ...[
      { name: "a webhook", others: {} },
      { name: "a webhook and a pod", others: { pod: { name: "p", uid: "pu" } } },
      { name: "a webhook and a node", others: { node: { name: "n", uid: "nu" } } },
      { name: "a webhook and a Secret", others: { secret: { name: "s", uid: "su" } } },
    ].map(({ name, others }) => ({
      name: `bound to ${name}`,
      token: signJwt(signer, {
        ...encodeClaims(claims),
        "kubernetes.io": {
          namespace: "team",
          serviceaccount: { name: "app", uid: "u" },
          validatingwebhookconfiguration: { name: "w", uid: "w" },
          ...others,
        },
      }),
      want: 'feature gate "APIServerWebhookAuthenticationToken" is disabled, but token is webhook bound',
    })),
  ]
) {
  test(`createServiceAccountTokenAuthenticator() answers "${want}" for a token ${name}`, async () => {
    const { authenticate } = createWorld();
    for (const _ of ["verified", "cached"]) {
      assert.equal(describe(await authenticate(token, {})), want);
    }
  });
}

test("createServiceAccountTokenAuthenticator() verifies a signature once, but not that of a long token", async () => {
  const { authenticate, verified } = createWorld();
  const padding = (length: number) => sign({ id: "x".repeat(length) });
  for (const { token, want } of [{ token: sign(), want: 1 }, { token: padding(4_000), want: 2 }]) {
    verified.length = 0;
    for (const _ of [1, 2]) assert.equal((await authenticate(token, {})).kind, "user");
    assert.equal(verified.length, want);
  }
});

for (
  const { name, own, requested, want } of [
    { name: "those of this server", own: ["api", "vault"], requested: undefined, want: ["api"] },
    { name: "those that are requested", own: ["api", "vault"], requested: ["vault", "other"], want: ["vault"] },
    {
      name: "all of this server for a token without any",
      own: [],
      requested: undefined,
      want: [DEFAULT_ISSUER, "api"],
    },
  ]
) {
  test(`createServiceAccountTokenAuthenticator() returns the audiences of a token: ${name}`, async () => {
    const request = { ...(requested === undefined ? {} : { audiences: requested }) };
    const result = await createWorld().authenticate(sign({ audiences: own }), request);
    assert.deepEqual(result.kind === "user" && result.audiences, want);
  });
}

for (
  const { name, edit, want, annotations } of [
    { name: "a new token", edit: {}, want: [], annotations: {} },
    {
      name: "a token without an audience",
      edit: { audiences: [] },
      want: ["legacy"],
      annotations: { "authentication.k8s.io/legacy-token": USER },
    },
    { name: "a token before its warning", edit: { warnAfter: SECONDS + 1 }, want: ["valid"], annotations: {} },
    { name: "a token at its warning", edit: { warnAfter: SECONDS }, want: ["valid"], annotations: {} },
    {
      name: "a token after its warning",
      edit: { warnAfter: SECONDS - 10 },
      want: ["stale"],
      annotations: {
        "authentication.k8s.io/stale-token": `subject: ${USER}, seconds after warning threshold: 10`,
      },
    },
  ]
) {
  test(`createServiceAccountTokenAuthenticator() counts the use of ${name} once`, async () => {
    const { authenticate, uses } = createWorld();
    const result = await authenticate(sign(edit), {});
    assert.deepEqual(result.kind === "user" && result.auditAnnotations, annotations);
    await authenticate(sign(edit), { isRepeated: true });
    assert.deepEqual(uses, want);
  });
}

test("createServiceAccountTokenAuthenticator() does not refuse a token when the storage cannot be read", async () => {
  const { authenticate } = createWorld({ storage: { get: () => Promise.reject(new Error("disk 7")) } });
  await assert.rejects(authenticate(sign(), {}), {
    code: "unreachable",
    message: "cannot read service accounts",
  });
});
