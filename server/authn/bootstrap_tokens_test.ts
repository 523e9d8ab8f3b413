import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import {
  encodeTokenLimits,
  readTokenUse,
  type TokenLimits,
  type TokenRefusal,
  withBoundKey,
  withLastRefusal,
} from "../../core/token/bound_token.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import type { Event, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { buildCsr, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { ADMIN, type Answer, createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { openBootstrapTokens } from "./bootstrap_tokens.ts";

const NOW = new Date("2026-11-28T02:00:00Z");
const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const TOKEN_PATH = `${SECRETS}/bootstrap-token-abcdef`;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const TOKEN = "abcdef.0123456789abcdef";
const ADDRESS = "192.0.2.1";
const keyA = await generatePrivateKey("ecdsa-p256");
const keyB = await generatePrivateKey("ecdsa-p256");
const toPin = (key: PrivateKey) => publicKeyPin({ publicKeyDer: key.publicKeyDer() });

/** Creates an app with a token, and a binding that lets the holders of tokens request certificates. */
async function createWorld(limits: Partial<TokenLimits>, ca?: Authority) {
  const clock = createFakeClock(NOW);
  const roots = ca === undefined ? [] : [ca.certificate];
  const app = await createTestApp({ clock, clientCas: () => roots });
  const annotations = encodeTokenLimits({ networks: [], isApproval: false, ...limits });
  const stringData = {
    "token-id": "abcdef",
    "token-secret": "0123456789abcdef",
    "usage-bootstrap-authentication": "true",
  };
  const body = {
    metadata: { name: "bootstrap-token-abcdef", annotations },
    type: "bootstrap.kubernetes.io/token",
    stringData,
  };
  assert.equal((await app.send("POST", SECRETS, { body })).code, 201);
  const subjects = [{ kind: "Group", name: "system:bootstrappers", apiGroup: "rbac.authorization.k8s.io" }];
  const roleRef = { kind: "ClusterRole", name: "system:node-bootstrapper", apiGroup: "rbac.authorization.k8s.io" };
  const bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
  await app.send("POST", bindings, { body: { metadata: { name: "join" }, subjects, roleRef } });
  return app;
}

async function createBody(key: PrivateKey, node = "n1", options: CsrOptions = {}) {
  const subject = { commonName: `system:node:${node}`, organizations: ["system:nodes"] };
  const der = createCertificationRequest({ subject }, key);
  const request = btoa(encodePem("CERTIFICATE REQUEST", der));
  const name = `${node}-${toPin(key).slice(7, 15)}`;
  const { spec: { username: _username, groups: _groups, ...spec }, ...csr } = await buildCsr({
    name,
    request,
    ...options,
  });
  return { ...csr, spec, status: undefined };
}

const asHolder = { user: undefined, headers: { authorization: `Bearer ${TOKEN}` } } as const;

function submit(app: TestApp, body: object, query = ""): Promise<Answer> {
  return app.send("POST", `${CSRS}${query}`, { ...asHolder, body });
}

async function readUse(app: TestApp) {
  const answer = await app.send("GET", TOKEN_PATH);
  return readTokenUse(JSON.parse(answer.text) as SecretObject);
}

test("the first request binds a token to its key: this key may try again, and no other key may", async () => {
  await using app = await createWorld({ node: "n1" as NodeName });
  assert.equal((await submit(app, await createBody(keyA))).code, 201);
  assert.deepEqual((await readUse(app)).boundKeys, [toPin(keyA)]);
  assert.equal((await submit(app, await createBody(keyA, "n1", { name: "again" }))).code, 201);
  const refused = await submit(app, await createBody(keyB));
  assert.equal(refused.code, 403);
  assert.equal(
    refused.at("message"),
    `certificatesigningrequests.certificates.k8s.io "n1-${toPin(keyB).slice(7, 15)}" is forbidden: another key has ` +
      `used the token, which is for 1; this request has the key ${toPin(keyB)}`,
  );
  assert.deepEqual((await readUse(app)).boundKeys, [toPin(keyA)]);
});

for (
  const { name, body, query, code } of [
    { name: "another node", body: () => createBody(keyA, "n2"), code: 403 },
    { name: "another signer", body: () => createBody(keyA, "n1", { signerName: "example.com/web" }), code: 403 },
    { name: "an invalid usage", body: () => createBody(keyA, "n1", { usages: ["flying"] }), code: 422 },
    { name: "a dry run", body: () => createBody(keyA), query: "?dryRun=All", code: 201 },
  ]
) {
  test(`a token stays unbound by a request with ${name}`, async () => {
    await using app = await createWorld({ node: "n1" as NodeName });
    assert.equal((await submit(app, await body(), query)).code, code);
    assert.deepEqual((await readUse(app)).boundKeys, []);
    assert.equal((await submit(app, await createBody(keyB))).code, 201);
  });
}

test("a token stays unbound by a request whose name is taken", async () => {
  await using app = await createWorld({ node: "n1" as NodeName });
  const taken = await createBody(keyA);
  await app.send("POST", CSRS, { body: taken });
  assert.equal((await submit(app, taken)).code, 409);
  assert.deepEqual((await readUse(app)).boundKeys, []);
});

test("when many keys race for a token, only as many as it allows succeed", async () => {
  await using app = await createWorld({ maxKeys: 2 });
  const keys = await Promise.all(Array.from({ length: 12 }, () => generatePrivateKey("ecdsa-p256")));
  const bodies = await Promise.all(keys.map((key, index) => createBody(key, `n${index}`)));
  const codes = (await Promise.all(bodies.map((body) => submit(app, body)))).map(({ code }) => code);
  assert.equal(codes.filter((code) => code === 201).length, 2);
  assert.equal(codes.filter((code) => code === 403).length, 10);
  const stored = (await app.send("GET", CSRS)).names();
  assert.equal(stored.length, 2);
  assert.equal((await readUse(app)).boundKeys.length, 2);
});

test("a token is spent when its certificate is used for the first time", async () => {
  const ca = await createClientCa(NOW);
  await using app = await createWorld({ node: "n1" as NodeName }, ca);
  assert.equal((await submit(app, await createBody(keyA))).code, 201);
  const subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
  const older = { publicKeyDer: keyA.publicKeyDer(), notBefore: new Date(NOW.getTime() - 3_600_000) };
  await app.send("GET", "/version", { user: undefined, peer: await verifiedPeer(ca, NOW, subject, older) });
  assert.equal((await submit(app, await createBody(keyA, "n1", { name: "second" }))).code, 201);
  const fresh = { publicKeyDer: keyA.publicKeyDer(), notBefore: new Date(NOW.getTime() - 300_000) };
  const peer = await verifiedPeer(ca, NOW, subject, fresh);
  assert.equal((await app.send("GET", "/version", { user: undefined, peer })).code, 200);
  assert.equal((await submit(app, await createBody(keyA, "n1", { name: "third" }))).code, 401);
  assert.deepEqual((await readUse(app)).usedKeys, [toPin(keyA)]);
  const line = app.auditLines.findLast((text) => text.includes("authentication.tlsboot/refused"));
  assert.match(line ?? "", /bootstrap token abcdef: the token is used/);
});

for (
  const { network, code } of [{ network: `${ADDRESS}/32`, code: 201 }, { network: "10.0.0.0/24", code: 401 }]
) {
  test(`a token that is limited to ${network} gets ${code} from ${ADDRESS}`, async () => {
    await using app = await createWorld({ networks: [network] });
    assert.equal((await submit(app, await createBody(keyA))).code, code);
  });
}

test("a token that is limited to networks is not confirmed by a TokenReview", async () => {
  await using app = await createWorld({ networks: ["0.0.0.0/0"] });
  const body = { spec: { token: TOKEN } };
  const review = await app.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body });
  assert.equal(review.at("status/authenticated"), undefined);
  assert.match(String(review.at("status/error")), /from an unknown address/);
});

test("refusals are reported: in an Event, a metric, the log and the token, once a minute", async () => {
  await using app = await createWorld({ node: "n1" as NodeName });
  await submit(app, await createBody(keyA));
  for (let attempt = 0; attempt < 3; attempt++) await submit(app, await createBody(keyB));
  await settle(20);
  const events = await app.send("GET", "/api/v1/namespaces/kube-system/events");
  assert.equal(events.names().length, 1);
  assert.equal(events.at("items/0/reason"), "BootstrapTokenRefused");
  assert.equal(events.at("items/0/involvedObject/name"), "bootstrap-token-abcdef");
  assert.match(String(events.at("items/0/message")), /from 192\.0\.2\.1 .* token "abcdef" was refused: another key/);
  const metrics = await app.send("GET", "/metrics");
  assert.match(metrics.text, /tlsboot_bootstrap_token_refusals_total\{reason="key"\} 3/);
  assert.equal(
    app.logger.messages("warn").filter((text) => text === "bootstrap token refused by its limits").length,
    3,
  );
  const { lastRefusal } = await readUse(app);
  assert.equal(lastRefusal?.address, ADDRESS);
  assert.match(lastRefusal?.reason ?? "", /another key/);
  await app.clock.advance(61_000);
  await submit(app, await createBody(keyB));
  await settle(20);
  assert.equal((await app.send("GET", "/api/v1/namespaces/kube-system/events")).names().length, 2);
});

test("the newest refusal within a minute is reported at its end, and a minute without any reports none", async () => {
  await using app = await createWorld({ node: "n1" as NodeName });
  const countEvents = async () => (await app.send("GET", "/api/v1/namespaces/kube-system/events")).names().length;
  await submit(app, await createBody(keyA));
  await submit(app, await createBody(keyA, "x1"));
  await settle(20);
  for (const node of ["x2", "x3"]) {
    await app.clock.advance(3_000);
    await submit(app, await createBody(keyA, node));
  }
  await settle(20);
  assert.match((await readUse(app)).lastRefusal?.reason ?? "", /x1/);
  await app.clock.advance(60_000);
  await settle(20);
  const { lastRefusal } = await readUse(app);
  assert.match(lastRefusal?.reason ?? "", /x3/);
  assert.deepEqual(lastRefusal?.at, new Date(NOW.getTime() + 6_000), "the time of the attempt");
  assert.equal(await countEvents(), 2);
  const { text } = await app.send("GET", TOKEN_PATH);
  await app.clock.advance(600_000);
  await settle(20);
  assert.equal((await app.send("GET", TOKEN_PATH)).text, text);
  await submit(app, await createBody(keyA, "x4"));
  await settle(20);
  assert.match((await readUse(app)).lastRefusal?.reason ?? "", /x4/);
});

test("the use of a token without limits is recorded too, once a minute", async () => {
  await using app = await createWorld({});
  await app.send("GET", "/version", asHolder);
  await settle(20);
  const first = await app.send("GET", TOKEN_PATH);
  assert.deepEqual((await readUse(app)).lastUse, { at: NOW, address: ADDRESS });
  await app.clock.advance(30_000);
  await app.send("GET", "/version", asHolder);
  await settle(20);
  assert.equal(
    (await app.send("GET", TOKEN_PATH)).at("metadata/resourceVersion"),
    first.at("metadata/resourceVersion"),
  );
  await app.clock.advance(31_000);
  await app.send("GET", "/version", asHolder);
  await settle(20);
  assert.equal((await readUse(app)).lastUse?.at.getTime(), NOW.getTime() + 61_000);
});

test("a token records its creator, and an update neither changes the creator nor frees a key", async () => {
  await using app = await createWorld({ node: "n1" as NodeName });
  await submit(app, await createBody(keyA));
  const patch = { metadata: { annotations: { "tlsboot/bound-keys": null, "tlsboot/created-by": "mallory" } } };
  const headers = { "content-type": "application/merge-patch+json" };
  assert.equal((await app.send("PATCH", TOKEN_PATH, { headers, body: JSON.stringify(patch) })).code, 200);
  const use = await readUse(app);
  assert.equal(use.createdBy, "admin");
  assert.deepEqual(use.boundKeys, [toPin(keyA)]);
});

test("only a user who may approve can create a token that approves", async () => {
  await using app = await createWorld({});
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const rules = [{ verbs: ["create", "patch", "get"], apiGroups: [""], resources: ["secrets"] }];
  await app.send("POST", `${rbac}/clusterroles`, { body: { metadata: { name: "secrets" }, rules } });
  const subjects = [{ kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" }];
  const roleRef = { kind: "ClusterRole", name: "secrets", apiGroup: "rbac.authorization.k8s.io" };
  await app.send("POST", `${rbac}/clusterrolebindings`, { body: { metadata: { name: "jane" }, subjects, roleRef } });
  const annotations = encodeTokenLimits({ node: "n1" as NodeName, maxKeys: 1, networks: [], isApproval: true });
  const stringData = { "token-id": "fedcba", "token-secret": "0123456789abcdef" };
  const body = {
    metadata: { name: "bootstrap-token-fedcba", annotations },
    type: "bootstrap.kubernetes.io/token",
    stringData,
  };
  const refused = await app.send("POST", SECRETS, { user: createUser("jane"), body });
  assert.equal(refused.code, 403);
  assert.match(String(refused.at("message")), /not permitted to make a token that approves/);
  const headers = { "content-type": "application/merge-patch+json" };
  const patch = { user: createUser("jane"), headers, body: JSON.stringify({ metadata: { annotations } }) };
  assert.equal((await app.send("PATCH", TOKEN_PATH, patch)).code, 403);
  assert.equal((await app.send("POST", SECRETS, { user: ADMIN, body })).code, 201);
});

/** Opens the record of tokens over a store, without the rest of the API. */
async function openStore() {
  const clock = createFakeClock(NOW);
  const storage = createMemoryStorage({ clock });
  const logger = createMemoryLogger();
  const deps = { storage, clock, logger, random: createSeededRandom() };
  const open = () => openBootstrapTokens({ ...deps, registry: new Registry() });
  const toKey = (id: string) => `/registry/secrets/kube-system/bootstrap-token-${id}`;
  const read = async (id: string) => (await storage.get(toKey(id)))!;
  return {
    ...deps,
    open,
    tokens: await open(),
    read,
    readUse: async (id: string) => readTokenUse((await read(id)).object as SecretObject),
    /** Adds the Secret of a token with a record of its use. */
    async add(
      id: string,
      record: (secret: SecretObject) => Readonly<Record<string, string>> = () => ({}),
      { maxKeys = 2, type = "bootstrap.kubernetes.io/token" } = {},
    ): Promise<void> {
      const annotations = encodeTokenLimits({ networks: [], isApproval: false, maxKeys });
      const metadata = { name: `bootstrap-token-${id}`, creationTimestamp: NOW.toISOString(), annotations };
      const secret: SecretObject = { metadata, type };
      const object = { ...secret, metadata: { ...metadata, annotations: { ...annotations, ...record(secret) } } };
      await storage.create(toKey(id), object);
    },
    async remove(id: string): Promise<void> {
      const { key, revision } = await read(id);
      await storage.delete(key, revision);
    },
  };
}

/** Issues a certificate for a key, by default with the time of the token as its start. */
async function issue(key: PrivateKey, notBefore = NOW): Promise<CertificateFacts> {
  const edit = { publicKeyDer: key.publicKeyDer(), notBefore };
  const peer = await verifiedPeer(await createClientCa(NOW), NOW, { commonName: "system:node:n1" }, edit);
  const facts = parseCertificate(peer.chain[0]!);
  assert.ok(facts.ok);
  return facts.value;
}

const boundTo = (key: PrivateKey) => (secret: SecretObject) => withBoundKey(secret, toPin(key));

test("certificateUsed() spends the key in each token that is bound to it, once", async () => {
  const { tokens, add, remove, readUse } = await openStore();
  const [ofA, ofB] = [await issue(keyA), await issue(keyB)];
  assert.equal(tokens.certificateUsed(ofA), undefined);
  for (const id of ["gonnee", "first0", "second"]) await add(id, boundTo(keyA));
  await add("other0", boundTo(keyB));
  await add("secret", boundTo(keyB), { type: "Opaque" });
  await remove("gonnee");
  await tokens.certificateUsed(ofA);
  for (const id of ["first0", "second"]) assert.deepEqual((await readUse(id)).usedKeys, [toPin(keyA)], id);
  assert.equal(tokens.certificateUsed(ofA), undefined);
  assert.deepEqual((await readUse("other0")).usedKeys, []);
  await tokens.certificateUsed(ofB);
  assert.deepEqual((await readUse("other0")).usedKeys, [toPin(keyB)]);
  assert.deepEqual((await readUse("secret")).usedKeys, []);
  assert.equal(tokens.certificateUsed(ofB), undefined);
});

test("certificateUsed() counts a certificate that is backdated from the time of the token, and no older one", async () => {
  for (const { ms, want } of [{ ms: 301_000, want: [toPin(keyA)] }, { ms: 302_000, want: [] }]) {
    const { tokens, add, readUse } = await openStore();
    await add("abcdef", boundTo(keyA));
    await tokens.certificateUsed(await issue(keyA, new Date(NOW.getTime() - ms)));
    assert.deepEqual((await readUse("abcdef")).usedKeys, want);
  }
});

test("onUsed() records a use a minute after the last one on any server, and nothing about other Secrets", async () => {
  const { tokens, open, add, read, readUse, clock, logger } = await openStore();
  await add("abcdef");
  await add("secret", undefined, { type: "Opaque" });
  const use = async (by: typeof tokens, id = "abcdef") => {
    by.onUsed(id, ADDRESS);
    await settle();
    return (await read(id)).revision;
  };
  const created = (await read("secret")).revision;
  assert.equal(await use(tokens, "secret"), created);
  const first = await use(tokens);
  await clock.advance(30_000);
  assert.equal(await use(await open()), first);
  await clock.advance(30_000);
  assert.notEqual(await use(await open()), first);
  assert.equal((await readUse("abcdef")).lastUse?.at.getTime(), NOW.getTime() + 60_000);
  tokens.onUsed("absent", ADDRESS);
  await settle();
  assert.deepEqual(logger.entries, []);
});

test("onUsed() reads the Secret once a minute", async () => {
  const { tokens, add, storage } = await openStore();
  await add("abcdef");
  let reads = 0;
  const get = storage.get.bind(storage);
  storage.get = (key) => {
    reads += 1;
    return get(key);
  };
  for (let use = 0; use < 3; use++) tokens.onUsed("abcdef", ADDRESS);
  await settle();
  assert.equal(reads, 1);
});

const REFUSAL: TokenRefusal = { kind: "key", message: "another key has used the token" };

test("onRefused() does not replace a newer refusal, which another server has recorded", async () => {
  for (const { ms, want } of [{ ms: 1_000, want: "newer" }, { ms: 0, want: REFUSAL.message }]) {
    const { tokens, add, readUse } = await openStore();
    const attempt = { at: new Date(NOW.getTime() + ms), address: ADDRESS };
    await add("abcdef", (secret) => withLastRefusal(secret, attempt, { kind: "key", message: "newer" }));
    tokens.onRefused("abcdef", REFUSAL);
    await settle();
    assert.equal((await readUse("abcdef")).lastRefusal?.reason, want);
  }
});

test("a record of tokens that is disposed reports no more refusals, and follows no more Secrets", async () => {
  const { tokens, add, storage, clock } = await openStore();
  await add("abcdef");
  for (let attempt = 0; attempt < 2; attempt++) tokens.onRefused("abcdef", REFUSAL);
  await settle();
  const { sleepers } = clock;
  tokens[Symbol.dispose]();
  await settle();
  assert.equal(clock.sleepers, sleepers - 1);
  const { items } = await storage.list("/registry/events/");
  assert.equal(items.length, 1);
  assert.match((items[0]!.object as Event).message ?? "", /^An attempt to use bootstrap token "abcdef" was refused/);
  await add("bcdefg", boundTo(keyA));
  assert.equal(tokens.certificateUsed(await issue(keyA)), undefined);
});

test("getSecret() waits until the store has the writes of other servers", async () => {
  const { tokens, add, storage } = await openStore();
  storage.catchUp = (withinMs) => {
    assert.equal(withinMs, 500);
    return add("abcdef");
  };
  assert.equal((await tokens.getSecret("bootstrap-token-abcdef", 500))?.type, "bootstrap.kubernetes.io/token");
});

test("decide() decides only valid requests with a token that exists", async () => {
  const { tokens, add } = await openStore();
  await add("abcdef");
  const csr = await buildCsr();
  assert.deepEqual(await tokens.decide(csr, "alice", ADDRESS), {});
  assert.deepEqual(await tokens.decide(csr, "system:bootstrap:absent", ADDRESS), {});
  const malformed = await buildCsr({ request: "eA==" });
  assert.deepEqual(await tokens.decide(malformed, "system:bootstrap:abcdef", ADDRESS), {});
  const { write, refusal } = await tokens.decide(csr, "system:bootstrap:abcdef", ADDRESS);
  assert.deepEqual([write?.kind, refusal], ["update", undefined]);
});
