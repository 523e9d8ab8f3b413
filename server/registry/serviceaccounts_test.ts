import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_AUDIT_POLICY } from "../../core/audit/policy.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import {
  encodeClaims,
  parseClaims,
  parseJwt,
  parseTokenSigner,
  signJwt,
  type TokenClaims,
  type TokenKey,
  type TokenSigner,
} from "../../core/service_accounts/jwt.ts";
import { DEFAULT_ISSUER } from "../../core/service_accounts/issuer_documents.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import type { ServiceAccountOptions } from "../server.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { ADMIN, createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";

const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";

async function createSigner(): Promise<TokenSigner> {
  const signer = parseTokenSigner((await generatePrivateKey("ecdsa-p256")).toPem());
  assert.ok(signer.ok);
  return signer.value;
}

const signer = await createSigner();
const [rule] = DEFAULT_AUDIT_POLICY.rules;
/** A policy that records all bodies of all requests. */
const ALL = { ...DEFAULT_AUDIT_POLICY, rules: [{ ...rule!, level: "RequestResponse" as const }] };

/** An app that issues tokens, with a Secret and the service accounts `app`. */
async function createApp(options: Partial<ServiceAccountOptions> = {}, more: Parameters<typeof createTestApp>[0] = {}) {
  const app = await createTestApp({
    ...more,
    serviceAccounts: {
      issuers: [DEFAULT_ISSUER],
      apiAudiences: [DEFAULT_ISSUER],
      signer,
      keys: [signer.key],
      maxExpirationSeconds: 0,
      extendsExpiration: true,
      jwksUri: undefined,
      ...options,
    },
  });
  await app.send("POST", "/api/v1/namespaces", { body: { metadata: { name: "default" } } });
  await app.send("POST", ACCOUNTS, { body: { metadata: { name: "app" } } });
  return app;
}

async function requestToken(app: TestApp, spec: object = {}): Promise<string> {
  const answer = await app.send("POST", `${ACCOUNTS}/app/token`, { body: { spec } });
  assert.equal(answer.code, 201, answer.text);
  return String(answer.at("status/token"));
}

async function identify(app: TestApp, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  return (await app.send("POST", WHO, { user: undefined, headers, body })).code;
}

/** Signs the claims of an issued token again, with changes. */
function forge(token: string, changes: Partial<TokenClaims>, by: TokenSigner = signer): string {
  const claims = parseClaims(parseJwt(token)!.claims);
  assert.ok(claims !== undefined);
  return signJwt(by, encodeClaims({ ...claims, ...changes }));
}

test("a token ends with its lifetime, with its Secret, and with its account", async () => {
  await using app = await createApp();
  const token = await requestToken(app, { expirationSeconds: 600 });
  const lasting = await requestToken(app, { expirationSeconds: 86_400 });
  await app.send("POST", "/api/v1/namespaces/default/secrets", { body: { metadata: { name: "s" } } });
  const bound = await requestToken(app, {
    expirationSeconds: 86_400,
    boundObjectRef: { apiVersion: "v1", kind: "Secret", name: "s" },
  });
  assert.deepEqual([await identify(app, token), await identify(app, lasting), await identify(app, bound)], [
    201,
    201,
    201,
  ]);
  app.clock.jump(661_000);
  assert.deepEqual([await identify(app, token), await identify(app, bound)], [401, 201]);
  await app.send("DELETE", "/api/v1/namespaces/default/secrets/s");
  assert.deepEqual([await identify(app, bound), await identify(app, lasting)], [401, 201]);
  await app.send("DELETE", `${ACCOUNTS}/app`);
  assert.equal(await identify(app, lasting), 401);
  await app.send("POST", ACCOUNTS, { body: { metadata: { name: "app" } } });
  assert.equal(await identify(app, lasting), 401, "a new account of the same name does not accept old tokens");
});

test("a watch ends when the account of its token is deleted", async () => {
  await using app = await createApp();
  const token = await requestToken(app);
  await app.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    body: {
      metadata: { name: "app-reads" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", name: "app", namespace: "default" }],
    },
  });
  const headers = { authorization: `Bearer ${token}` };
  const watch = await app.open("GET", "/api/v1/configmaps?watch=1", { user: undefined, headers });
  assert.equal(watch.status, 200);
  const ended = watch.text();
  await app.send("DELETE", `${ACCOUNTS}/app`);
  await app.clock.advance(5_000);
  await ended;
});

test("a token of another issuer or key, of another time, or of another account is refused", async () => {
  await using app = await createApp();
  const token = await requestToken(app);
  const now = app.clock.now().getTime() / 1000;
  const unknownSigner = await createSigner();
  for (
    const forged of [
      forge(token, {}, unknownSigner),
      forge(token, { issuer: "https://other.example" }),
      forge(token, { expiry: now - 61 }),
      forge(token, { notBefore: now + 61 }),
      forge(token, { issuedAt: now + 61 }),
      forge(token, { audiences: ["vault"] }),
      forge(token, { account: { name: "app", uid: "other" } }),
      forge(token, { account: { name: "none", uid: "other" } }),
      forge(token, { namespace: "kube-system" }),
      forge(token, { pod: { name: "p", uid: "u" } }),
      forge(token, { secret: { name: "s", uid: "u" } }),
      forge(token, { node: { name: "n", uid: "u" } }),
    ]
  ) assert.equal(await identify(app, forged), 401, JSON.stringify(parseJwt(forged)?.claims));
  assert.equal(await identify(app, forge(token, { audiences: [] })), 201, "an old token without audiences");
});

test("a token that is bound to a webhook is refused as by kube-apiserver", async () => {
  await using app = await createApp();
  const { "kubernetes.io": own, ...others } = parseJwt(await requestToken(app))!.claims;
  const webhook = { name: "w", uid: "u" };
  const token = signJwt(signer, {
    ...others,
    "kubernetes.io": { ...own as object, mutatingwebhookconfiguration: webhook },
  });
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  const error = String((await app.send("POST", REVIEWS, { body })).at("status/error"));
  assert.match(error, /feature gate "APIServerWebhookAuthenticationToken" is disabled, but token is webhook bound/);
});

test("an accepted key of an earlier issuer verifies its tokens, but signs none", async () => {
  const earlier = await createSigner();
  await using app = await createApp({ issuers: [DEFAULT_ISSUER, "earlier"], keys: [signer.key, earlier.key] });
  const token = await requestToken(app);
  assert.equal(parseJwt(token)?.keyId, signer.key.id);
  assert.equal(await identify(app, forge(token, { issuer: "earlier" }, earlier)), 201);
});

test("a signature is verified once for many requests", async () => {
  let count = 0;
  const counting: TokenKey = {
    ...signer.key,
    verify: (data, signature) => ++count > 0 && signer.key.verify(data, signature),
  };
  await using app = await createApp({ keys: [counting] });
  const token = await requestToken(app);
  for (let index = 0; index < 5; index++) assert.equal(await identify(app, token), 201);
  assert.equal(count, 1);
  const long = await requestToken(app, { audiences: [DEFAULT_ISSUER, "x".repeat(4_096)] });
  for (let index = 0; index < 2; index++) assert.equal(await identify(app, long), 201);
  assert.equal(count, 3, "a long token is not cached");
});

test("--service-account-max-token-expiration shortens a token, with a warning", async () => {
  await using app = await createApp({ maxExpirationSeconds: 3600 });
  const answer = await app.send("POST", `${ACCOUNTS}/app/token`, { body: { spec: { expirationSeconds: 7200 } } });
  assert.equal(answer.at("spec/expirationSeconds"), 3600);
  assert.match(answer.headers.get("warning") ?? "", /requested expiration of 7200 seconds shortened to 3600 seconds/);
});

test("the audit log has the id of an issued token and never the token, and marks the use of a stale one", async () => {
  const lines: string[] = [];
  await using app = await createApp({}, { audit: { policy: ALL, sink: { write: (line) => lines.push(line) > 0 } } });
  const token = await requestToken(app);
  const id = String(parseJwt(token)?.claims["jti"]);
  const issued = lines.find((line) => line.includes("/token") && line.includes("ResponseComplete")) ?? "";
  assert.ok(issued.includes(`"authentication.kubernetes.io/issued-credential-id":"JTI=${id}"`), issued);
  await identify(app, token);
  await app.send("POST", REVIEWS, {
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } },
  });
  const stale = forge(token, { warnAfter: app.clock.now().getTime() / 1000 - 10 });
  assert.equal(await identify(app, stale), 201);
  assert.ok(
    lines.at(-1)?.includes(
      '"authentication.k8s.io/stale-token":"subject: system:serviceaccount:default:app, seconds after warning threshold: 10"',
    ),
    lines.at(-1),
  );
  assert.equal(await identify(app, forge(token, { audiences: [] })), 201);
  assert.ok(lines.at(-1)?.includes('"authentication.k8s.io/legacy-token":"system:serviceaccount:default:app"'));
  const metrics = (await app.send("GET", "/metrics")).text;
  assert.match(metrics, /^serviceaccount_legacy_tokens_total 1$/m);
  assert.match(metrics, /^serviceaccount_stale_tokens_total 1$/m);
  const log = [...lines, JSON.stringify(app.logger.entries)].join("\n");
  assert.ok(!log.includes(token) && !log.includes(token.split(".")[2]!));
});

test("a token is bound to a pod of a kube-apiserver that shares the store, and ends with it", async () => {
  const clock = createFakeClock();
  const storage = createMemoryStorage({ clock });
  await using app = await createApp({}, { clock, storage });
  const pod = { metadata: { name: "p", uid: "pod-uid" }, spec: { serviceAccountName: "app", nodeName: "n1" } };
  await storage.create("/registry/pods/default/p", pod as KubeObject);
  const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "p" };
  const token = await requestToken(app, { boundObjectRef, expirationSeconds: 3607 });
  const now = clock.now().getTime() / 1000;
  const claims = parseClaims(parseJwt(token)!.claims);
  assert.deepEqual([claims?.pod, claims?.node], [{ name: "p", uid: "pod-uid" }, { name: "n1", uid: "" }]);
  assert.deepEqual(
    [claims?.expiry, claims?.warnAfter],
    [now + 365 * 86_400, now + 3607],
    "the lifetime is extended for old programs",
  );
  for (const spec of [{ expirationSeconds: 3600 }, { expirationSeconds: 3607, audiences: ["vault"] }]) {
    const other = parseClaims(parseJwt(await requestToken(app, { boundObjectRef, ...spec }))!.claims);
    assert.deepEqual([other?.expiry, other?.warnAfter], [now + spec.expirationSeconds, undefined]);
  }
  assert.equal(await identify(app, token), 201);
  await app.send("POST", ACCOUNTS, { body: { metadata: { name: "b" } } });
  const refused = await app.send("POST", `${ACCOUNTS}/b/token`, { body: { spec: { boundObjectRef } } });
  assert.deepEqual([refused.code, refused.at("message")], [
    400,
    'cannot bind token for serviceaccount "b" to pod running with different serviceaccount name.',
  ]);
  const stored = await storage.get("/registry/pods/default/p");
  await storage.delete("/registry/pods/default/p", stored!.revision);
  assert.equal(await identify(app, token), 401);
});

test("a node is refused a token, even if RBAC grants it, because its pods are not here", async () => {
  await using app = await createApp();
  const node = createUser("system:node:n1", "system:nodes");
  const send = (user = node, spec: object = {}) => app.send("POST", `${ACCOUNTS}/app/token`, { user, body: { spec } });
  assert.equal((await send()).code, 403);
  await app.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    body: {
      metadata: { name: "nodes-edit" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:nodes" }],
    },
  });
  const pod = { apiVersion: "v1", kind: "Pod", name: "p" };
  const cases = [
    [{}, 403, "node requested token not bound to a pod"],
    [{ boundObjectRef: { ...pod, kind: "Node" } }, 403, "node requested token not bound to a pod"],
    [{ boundObjectRef: pod }, 403, "node requested token with a pod binding without a uid"],
    [{ boundObjectRef: { ...pod, uid: "u" } }, 404, 'pod "p" not found'],
  ] as const;
  for (const [spec, code, message] of cases) {
    const answer = await send(node, spec);
    assert.equal(answer.code, code, answer.text);
    assert.ok(String(answer.at("message")).endsWith(message), answer.text);
  }
  assert.equal((await send(ADMIN)).code, 201);
});
