import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { encodeTokenLimits } from "../../core/token/bound_token.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import { parseTokenFile } from "../../core/token/token_file.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import type { IssuedCertificate, RevocationSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { createRecord, describeIssued, formatRecordName } from "../../core/register/record.ts";
import { createRevocation, findRevocationTarget, REVOCATION_TARGET_KINDS } from "../../core/revocation/revocation.ts";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createRecords } from "../../tests/support/issued_records.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { openRevocationStore } from "../../tests/support/revocation_store.ts";
import {
  type Answer,
  createTestApp,
  createUser,
  type TestApp,
  type TestRequest,
  WatchReader,
} from "../../tests/support/test_app.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import type { PeerCertificate } from "../authn/authentication.ts";
import { CompactedError } from "../storage/storage.ts";
import { followRevokedCertificates, listRevokedCertificates, openRevocations } from "./revocations.ts";

const NOW = new Date("2026-11-28T02:00:00Z");
const REVOCATIONS = "/apis/tlsboot/v1alpha1/revocations";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps";
const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const ca = await createClientCa(NOW);

async function createApp(): Promise<TestApp> {
  const file = parseTokenFile('static,bob,17,"ops"\n', "tokens.csv");
  assert.ok(file.ok);
  const app = await createTestApp({
    clock: createFakeClock(NOW.toISOString()),
    clientCas: () => [ca.certificate],
    tokenFile: file.value,
  });
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const rules = [{ verbs: ["list", "watch", "get", "create"], apiGroups: ["*"], resources: ["*"] }];
  await app.send("POST", `${rbac}/clusterroles`, { body: { metadata: { name: "all" }, rules } });
  const subjects = [{ kind: "Group", name: "system:authenticated" }];
  const roleRef = { kind: "ClusterRole", name: "all", apiGroup: "rbac.authorization.k8s.io" };
  await app.send("POST", `${rbac}/clusterrolebindings`, { body: { metadata: { name: "all" }, subjects, roleRef } });
  return app;
}

const peerFor = (subject: SubjectFields): Promise<PeerCertificate> => verifiedPeer(ca, NOW, subject);
const nodeSubject = (name: string): SubjectFields => ({
  commonName: `system:node:${name}`,
  organizations: ["system:nodes"],
});
const as = (peer: PeerCertificate, more: TestRequest = {}): TestRequest => ({ user: undefined, peer, ...more });
const bearer = (token: string): TestRequest => ({ user: undefined, headers: { authorization: `Bearer ${token}` } });

/** Writes the record of a peer's certificate, as the register does. */
async function record(
  app: TestApp,
  sequence: number,
  peer: PeerCertificate,
  requester: IssuedCertificate["spec"]["requester"] = {},
): Promise<void> {
  const facts = parseCertificate(peer.chain[0]!);
  assert.ok(facts.ok);
  const description = describeIssued(facts.value, { source: "CertificateSigningRequest", requester });
  const name = formatRecordName(sequence);
  const object = {
    metadata: { name, uid: name, creationTimestamp: NOW.toISOString() },
    spec: createRecord(description, { sequence, issuedAt: app.clock.now() }),
    status: {},
  };
  const key = `/registry/tlsboot/issuedcertificates/${name}`;
  await app.storage.create(key, storedForm(issuedCertificateKind.schema, object));
}

async function revoke(
  app: TestApp,
  spec: Partial<RevocationSpec>,
  { isUnrecorded = false, ...request }: TestRequest & { readonly isUnrecorded?: boolean } = {},
): Promise<Answer> {
  const full = { reason: "keyCompromise", ...spec };
  const target = findRevocationTarget(full);
  assert.ok(target);
  const { includeCertificates = false, message = "" } = full;
  const body = createRevocation(target, { reason: full.reason, message, includeCertificates, isUnrecorded });
  return await app.send("POST", REVOCATIONS, { ...request, body });
}

async function addToken(app: TestApp, id: string, node?: string): Promise<void> {
  const limits = node === undefined
    ? {}
    : encodeTokenLimits({ node: node as NodeName, networks: [], isApproval: false });
  const body = {
    metadata: { name: `bootstrap-token-${id}`, annotations: limits },
    type: "bootstrap.kubernetes.io/token",
    stringData: { "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true" },
  };
  const { code, text } = await app.send("POST", SECRETS, { body });
  assert.equal(code, 201, text);
}

test("a Revocation gets its name, its user and its time from the server, and a second one is refused", async () => {
  await using app = await createApp();
  const body = {
    spec: { user: "alice", reason: "keyCompromise", message: "stolen" },
    status: { revokedBy: "mallory" },
  };
  const created = await app.send("POST", REVOCATIONS, { body });
  assert.equal(created.code, 201, created.text);
  assert.equal(created.at("metadata/name"), "user:alice");
  assert.deepEqual(created.at("status"), {
    revokedBy: "admin",
    revokedByGroups: [MASTERS_GROUP, "system:authenticated"],
    time: "2026-11-28T02:00:00Z",
  });
  const again = await revoke(app, { user: "alice" });
  assert.equal(again.code, 409);
  assert.match(
    String(again.at("message")),
    /^revocations.tlsboot "user:alice" already exists: user "alice" is revoked since 2026-11-28T02:00:00Z \(keyComp/,
  );
  const table = await app.send("GET", REVOCATIONS, {
    headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
  });
  assert.deepEqual(table.at("rows/0/cells"), ["user:alice", "keyCompromise", "admin", "0s", "stolen"]);
  for (const method of ["PUT", "PATCH"]) {
    const changed = await app.send(method, `${REVOCATIONS}/user:alice`, { body: { metadata: { name: "user:alice" } } });
    assert.equal(changed.code, 405, method);
  }
});

for (
  const { name, spec, want } of [
    {
      name: "an unknown serial number",
      spec: { serialNumber: "0a1b" },
      want: /no certificate in the register has this/,
    },
    { name: "a CA", spec: { serialNumber: "01" }, want: /it is the certificate of a CA/ },
    { name: "an unknown token", spec: { token: "abcdef" }, want: /no bootstrap token has this id/ },
    { name: "administrators", spec: { group: "system:masters" }, want: /cannot be revoked/ },
    {
      name: "the author",
      spec: { user: "admin" },
      want: /spec.user: Forbidden: it covers you, \\"admin\\": a new credential/,
    },
    { name: "a serial number with colons", spec: { serialNumber: "0A:1B" }, want: /must be written as \\"0a1b\\"/ },
  ]
) {
  test(`the revocation of ${name} is refused`, async () => {
    await using app = await createApp();
    const { code, text } = await revoke(app, spec);
    assert.equal(code, 422);
    assert.match(text, want);
    assert.deepEqual((await app.send("GET", REVOCATIONS)).names(), []);
  });
}

test("a group or node cannot be revoked by one of its members or the node itself, but by others", async () => {
  await using app = await createApp();
  const author = createUser("system:node:n1", "dev", MASTERS_GROUP);
  const post = async (spec: Record<string, string>, user = author) =>
    (await app.send("POST", REVOCATIONS, { body: { spec: { ...spec, reason: "superseded" } }, user })).code;
  assert.deepEqual([await post({ group: "dev" }), await post({ node: "n1" })], [422, 422]);
  assert.deepEqual([await post({ group: "ops" }), await post({ node: "n2" })], [201, 201]);
  const other = createUser("bob", MASTERS_GROUP);
  assert.deepEqual([await post({ group: "dev" }, other), await post({ node: "n1" }, other)], [201, 201]);
});

test("an unknown serial number and an unknown token are revoked with an annotation", async () => {
  await using app = await createApp();
  for (const spec of [{ serialNumber: "0a1b" }, { token: "abcdef" }]) {
    assert.equal((await revoke(app, spec, { isUnrecorded: true })).code, 201);
  }
});

test("a Revocation can be taken back, except that of a certificate that is not on hold", async () => {
  await using app = await createApp();
  const peer = await peerFor({ commonName: "alice" });
  await record(app, 1, peer);
  for (
    const { spec, want } of [
      { spec: { serialNumber: "02", reason: "certificateHold" }, want: 200 },
      { spec: { serialNumber: "02" }, want: 403 },
      { spec: { user: "alice" }, want: 200 },
      { spec: { group: "devs" }, want: 200 },
      { spec: { node: "n1" }, want: 200 },
    ]
  ) {
    const created = await revoke(app, spec);
    assert.equal(created.code, 201, created.text);
    const deleted = await app.send("DELETE", `${REVOCATIONS}/${String(created.at("metadata/name"))}`);
    assert.equal(deleted.code, want, deleted.text);
    if (want === 403) assert.match(deleted.text, /only a certificate on hold .* issue a new certificate instead/);
  }
});

for (
  const { name, subject, spec, others } of [
    { name: "its serial number", subject: { commonName: "alice" }, spec: { serialNumber: "02" }, others: false },
    { name: "its user", subject: { commonName: "alice" }, spec: { user: "alice" }, others: true },
    {
      name: "a group of it",
      subject: { commonName: "alice", organizations: ["devs"] },
      spec: { group: "devs" },
      others: true,
    },
    { name: "its node", subject: nodeSubject("n1"), spec: { node: "n1" }, others: true },
  ]
) {
  test(`a certificate is refused after the revocation of ${name}, and its streams end at once`, async () => {
    await using app = await createApp();
    const peer = await peerFor(subject);
    const other = await peerFor({ commonName: "carol" });
    await record(app, 1, peer);
    assert.equal((await app.send("GET", CONFIG_MAPS, as(peer))).code, 200);
    await using mine = new WatchReader(await app.open("GET", `${CONFIG_MAPS}?watch=1`, as(peer)));
    await using theirs = new WatchReader(await app.open("GET", `${CONFIG_MAPS}?watch=1`, as(other)));
    const created = await revoke(app, spec);
    assert.equal(created.code, 201, created.text);
    assert.equal(await mine.next(), undefined, "the stream ends without the clock");
    assert.equal((await app.send("GET", CONFIG_MAPS, as(peer))).code, 401);
    if (others) {
      await app.send("POST", CONFIG_MAPS, { body: { metadata: { name: "after" } } });
      assert.equal((await theirs.next())?.at("metadata/name"), "after");
      assert.equal((await app.send("GET", CONFIG_MAPS, as(other))).code, 200);
    }
    const refused = app.auditLines.filter((line) => line.includes('"code":401')).at(-1) ?? "";
    assert.match(refused, /"authentication.tlsboot\/refused":"credential of .* is revoked since 2026-11-28T02:00:00Z/);
    const { text } = await app.send("GET", "/metrics");
    const kind = findRevocationTarget({ reason: "", ...spec })!.kind;
    assert.match(text, new RegExp(`\ntlsboot_revocations{kind="${kind}"} 1\n`));
    const refusals = [...text.matchAll(/^tlsboot_revoked_credentials_refused_total{kind="(.+)"} (.+)$/gm)];
    // Kinds without a refusal are reported too, so that Prometheus sees the first increase.
    const wanted = REVOCATION_TARGET_KINDS.map((each) => [each, each === kind ? "1" : "0"]);
    assert.deepEqual(refusals.map(([, each, count]) => [each, count]), wanted);
    const events = await app.send("GET", "/api/v1/namespaces/default/events");
    assert.equal(events.at("items/0/reason"), "RevokedCredentialUsed");
    assert.match(String(events.at("items/0/message")), /was used from 192.0.2.1, and refused: /);
  });
}

test("a certificate is accepted again after the revocation of its user is taken back", async () => {
  await using app = await createApp();
  const peer = await peerFor({ commonName: "alice" });
  await revoke(app, { user: "alice" });
  assert.equal((await app.send("GET", CONFIG_MAPS, as(peer))).code, 401);
  assert.equal((await app.send("DELETE", `${REVOCATIONS}/user:alice`)).code, 200);
  assert.equal((await app.send("GET", CONFIG_MAPS, as(peer))).code, 200);
});

test("a bootstrap token is refused after its revocation, and a TokenReview says so", async () => {
  await using app = await createApp();
  await addToken(app, "abcdef");
  const token = "abcdef.0123456789abcdef";
  await using stream = new WatchReader(await app.open("GET", `${CONFIG_MAPS}?watch=1`, bearer(token)));
  assert.equal((await revoke(app, { token: "abcdef" })).code, 201);
  assert.equal((await app.send("GET", `${SECRETS}/bootstrap-token-abcdef`)).code, 404);
  assert.equal(await stream.next(), undefined);
  // A token that is created again with the same id stays refused.
  await addToken(app, "abcdef");
  assert.equal((await app.send("GET", CONFIG_MAPS, bearer(token))).code, 401);
  const body = { spec: { token } };
  const review = await app.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body });
  assert.equal(review.at("status/authenticated"), undefined);
  assert.match(String(review.at("status/error")), /token "abcdef" is revoked/);
});

test("a static token is refused after the revocation of its user or group", async () => {
  for (const spec of [{ user: "bob" }, { group: "ops" }]) {
    await using app = await createApp();
    assert.equal((await app.send("GET", CONFIG_MAPS, bearer("static"))).code, 200);
    assert.equal((await revoke(app, spec)).code, 201);
    assert.equal((await app.send("GET", CONFIG_MAPS, bearer("static"))).code, 401);
  }
});

test("certificates that were requested with a token are refused if the revocation includes them", async () => {
  await using app = await createApp();
  const [first, renewed, other] = [
    await peerFor(nodeSubject("n1")),
    await peerFor(nodeSubject("n1")),
    await peerFor(nodeSubject("n2")),
  ];
  const fingerprint = parseCertificate(first.chain[0]!);
  assert.ok(fingerprint.ok);
  await record(app, 1, first, { username: "system:bootstrap:abcdef", tokenID: "abcdef" });
  await record(app, 2, renewed, {
    username: "system:node:n1",
    certificateFingerprint: fingerprint.value.sha256Fingerprint,
  });
  await record(app, 3, other, { username: "system:bootstrap:bcdefg", tokenID: "bcdefg" });
  // The token itself is gone, but the register still has its certificates.
  assert.equal((await revoke(app, { token: "abcdef", includeCertificates: true })).code, 201);
  assert.equal((await app.send("GET", CONFIG_MAPS, as(first))).code, 401);
  assert.equal((await app.send("GET", CONFIG_MAPS, as(renewed))).code, 401);
  assert.equal((await app.send("GET", CONFIG_MAPS, as(other))).code, 200);
});

test("a revoked user cannot be impersonated, and a stream that impersonates one ends", async () => {
  await using app = await createApp();
  const admin = await peerFor({ commonName: "root", organizations: [MASTERS_GROUP] });
  const headers = { "impersonate-user": "alice" };
  await using stream = new WatchReader(await app.open("GET", `${CONFIG_MAPS}?watch=1`, as(admin, { headers })));
  assert.equal((await app.send("GET", CONFIG_MAPS, as(admin, { headers }))).code, 200);
  await revoke(app, { user: "alice" });
  assert.equal(await stream.next(), undefined);
  const refused = await app.send("GET", CONFIG_MAPS, as(admin, { headers }));
  assert.equal(refused.code, 403);
  assert.match(refused.text, /the impersonated user cannot be used: user \\"alice\\" is revoked/);
  assert.equal((await app.send("GET", CONFIG_MAPS, as(admin))).code, 200);
});

test("old certificates of a node stay refused after the clock jumps back, and a new one is accepted", async () => {
  const clock = createFakeClock(NOW.toISOString());
  await using app = await createTestApp({ clock, clientCas: () => [ca.certificate] });
  const old = await peerFor(nodeSubject("n1"));
  await record(app, 1, old);
  clock.set(-3_600_000);
  await revoke(app, { node: "n1" });
  clock.set(-3_600_000);
  const replacement = await peerFor(nodeSubject("n1"));
  await record(app, 2, replacement, { username: "system:bootstrap:bcdefg" });
  assert.equal((await app.send("GET", CONFIG_MAPS, as(old))).code, 401);
  assert.notEqual((await app.send("GET", CONFIG_MAPS, as(replacement))).code, 401);
});

/** Posts a CSR as a user, and returns the answer. */
async function request(app: TestApp, options: CsrOptions, by: TestRequest): Promise<Answer> {
  const csr = await buildCsr(options);
  return await app.send("POST", CSRS, { ...by, body: csr });
}

const approval = (csr: object): TestRequest => ({ body: { ...csr, status: { conditions: [condition("Approved")] } } });

test("a request of a revoked node is refused, but its replacement with its own, newer token is not", async () => {
  await using app = await createApp();
  await addToken(app, "oldold", "n1");
  await app.clock.advance(1_000);
  await revoke(app, { node: "n1" });
  await app.clock.advance(1_000);
  await addToken(app, "anyany");
  await addToken(app, "newnew", "n1");
  for (const id of ["oldold", "anyany"]) {
    const refused = await request(app, { name: id }, bearer(`${id}.0123456789abcdef`));
    assert.equal(refused.code, 403, refused.text);
    assert.match(refused.text, /the requested subject: node \\"n1\\" is revoked .* tlsboot token create --node n1/);
  }
  const accepted = await request(app, { name: "newnew" }, bearer("newnew.0123456789abcdef"));
  assert.equal(accepted.code, 201, accepted.text);
  const approved = await app.send("PUT", `${CSRS}/newnew/approval`, approval(JSON.parse(accepted.text)));
  assert.equal(approved.code, 200, approved.text);
});

test("a request of a revoked user is neither approved by hand nor signed, and may be denied", async () => {
  await using app = await createApp();
  const bob = bearer("static");
  const [one, two] = [await request(app, { name: "one" }, bob), await request(app, { name: "two" }, bob)];
  assert.deepEqual([one.code, two.code], [201, 201], one.text);
  const approved = await app.send("PUT", `${CSRS}/one/approval`, approval(JSON.parse(one.text)));
  assert.equal(approved.code, 200);
  await revoke(app, { user: "bob" });

  const refused = await app.send("PUT", `${CSRS}/two/approval`, approval(JSON.parse(two.text)));
  assert.equal(refused.code, 403);
  assert.match(refused.text, /"two\\" is forbidden: the requester: user \\"bob\\" is revoked since/);
  const certificate = ca.certificatePem;
  const csr = JSON.parse(approved.text);
  const signed = await app.send("PUT", `${CSRS}/one/status`, {
    body: { ...csr, status: { ...csr.status, certificate: btoa(certificate) } },
  });
  assert.equal(signed.code, 403);
  assert.match(signed.text, /the requester: user \\"bob\\" is revoked since/);
  const denied = await app.send("PUT", `${CSRS}/two/approval`, {
    body: { ...JSON.parse(two.text), status: { conditions: [condition("Denied")] } },
  });
  assert.equal(denied.code, 200, denied.text);
});

test("a stream that is opened while its user is revoked ends at once", async () => {
  await using app = await createApp();
  const peer = await peerFor({ commonName: "alice" });
  const [opened] = await Promise.all([
    app.open("GET", `${CONFIG_MAPS}?watch=1`, as(peer)),
    revoke(app, { user: "alice" }),
  ]);
  if (opened.status === 401) return;
  await using stream = new WatchReader(opened);
  assert.equal(await stream.next(), undefined);
});

test("a credential that another server has revoked is refused before the watch of the store has reported it", async () => {
  await using app = await createApp();
  const peer = await peerFor({ commonName: "carol" });
  const catchUp = app.storage.catchUp.bind(app.storage);
  let isRevoked = false;
  app.storage.catchUp = async (withinMs = 0) => {
    assert.ok(withinMs <= 1_000);
    const isNew = isRevoked;
    isRevoked = false;
    if (isNew) assert.equal((await revoke(app, { user: "carol" })).code, 201);
    await catchUp();
  };
  assert.equal((await app.send("GET", CONFIG_MAPS, as(peer))).code, 200);
  isRevoked = true;
  assert.equal((await app.send("GET", "/livez", as(peer))).code, 200, "health checks do not wait for the store");
  assert.ok(isRevoked);
  assert.equal((await app.send("GET", CONFIG_MAPS, as(peer))).code, 401);
  app.storage.catchUp = () => Promise.reject(new Error("etcd is away"));
  assert.equal((await app.send("GET", CONFIG_MAPS, as(await peerFor({ commonName: "dave" })))).code, 500);
  app.storage.catchUp = catchUp;
});

test("openRevocations() follows changes until it is disposed, and logs them, but not what already exists", async () => {
  const { revoke, takeBack, revocations: first, ...deps } = await openRevocationStore();
  await revoke({ kind: "user", value: "alice" });
  const logger = createMemoryLogger();
  const revocations = await openRevocations({ ...deps, registry: new Registry(), logger });
  let changes = 0;
  revocations.onChange(() => changes++);
  assert.deepEqual([revocations.index.size, logger.messages()], [1, []]);
  await revoke({ kind: "user", value: "bob" });
  await takeBack({ kind: "user", value: "alice" });
  assert.deepEqual([revocations.index.size, changes], [1, 2]);
  assert.deepEqual(logger.messages(), ["revocation in force", "revocation taken back"]);
  revocations[Symbol.dispose]();
  await revoke({ kind: "user", value: "carol" });
  assert.deepEqual([revocations.index.size, changes], [1, 2]);
  assert.equal(first.index.size, 2);
});

test("findRefusal() reports a credential once a minute, and counts each refusal", async () => {
  const { revocations, revoke, clock, logger, registry, storage } = await openRevocationStore();
  await revoke({ kind: "user", value: "alice" });
  const alice = createUser("alice");
  const warnings = () => logger.entries.filter(({ level }) => level === "warn").map(({ fields }) => fields.address);
  for (const use of [{}, {}, { isRepeated: true }]) {
    assert.match(revocations.findRefusal(alice, undefined, use) ?? "", /^user "alice" is revoked/);
  }
  assert.deepEqual(warnings(), [""]);
  await clock.advance(60_000);
  revocations.findRefusal(alice, undefined, { remoteAddress: "192.0.2.1" });
  assert.deepEqual(warnings(), ["", "192.0.2.1"]);
  assert.match(await registry.metrics(), /^tlsboot_revoked_credentials_refused_total\{kind="user"\} 3$/m);
  const { items } = await storage.list("/registry/events/");
  assert.deepEqual(items.map(({ object }) => /was used(.*), and/.exec((object as Event).message ?? "")?.[1]).sort(), [
    "",
    " from 192.0.2.1",
  ]);
});

test("findForRequest() reads a Secret only if something is revoked and a token made the request", async () => {
  const { revocations, revoke, storage } = await openRevocationStore();
  const reads: string[] = [];
  const get = storage.get.bind(storage);
  storage.get = (key) => {
    reads.push(key);
    return get(key);
  };
  const byToken = await buildCsr({ username: "system:bootstrap:abcdef" });
  assert.equal(await revocations.findForRequest(byToken), undefined);
  await revoke({ kind: "user", value: "alice" });
  assert.ok(await revocations.findForRequest(await buildCsr({ username: "alice" })));
  assert.deepEqual(reads, []);
  assert.equal(await revocations.findForRequest(byToken), undefined);
  assert.deepEqual(reads, ["/registry/secrets/kube-system/bootstrap-token-abcdef"]);
});

const MARK = { name: "user:alice", reason: "keyCompromise", time: "2026-11-28T02:00:00Z" };
const ISSUER = "ca".repeat(32);
const revoked = { status: { revocation: MARK }, issuerFingerprint: ISSUER };
const unrecorded = createRevocation({ kind: "serial", value: "0a1b" }, { reason: "keyCompromise", isUnrecorded: true });
const unrecordedAt = { ...unrecorded, status: { time: MARK.time } };

test("followRevokedCertificates() calls its listener after each change of the list, until it is disposed", async () => {
  const { storage, record, readRecord } = await openRevocationStore(revoked, { issuerFingerprint: ISSUER });
  const watches: { readonly stop: () => void; readonly beginAgain: () => void | Promise<void> }[] = [];
  let changes = 0;
  const certificates = await followRevokedCertificates({
    list: storage.list.bind(storage),
    watch(prefix, afterRevision, onEvents, onLost) {
      const { stop } = storage.watch(prefix, afterRevision, onEvents);
      watches.push({ stop, beginAgain: () => onLost?.(new CompactedError(1, 2)) });
      return { stop };
    },
  }, () => changes++);
  const listSerials = () => certificates.list(ISSUER).map(({ serialNumber }) => serialNumber.slice(0, 12));
  const write = async (sequence: number, status: IssuedCertificate["status"]) => {
    const { key, object, revision } = await readRecord(sequence);
    await storage.update(key, { ...object, status } as IssuedCertificate, revision);
  };
  const remove = async (sequence: number) => {
    const { key, revision } = await readRecord(sequence);
    await storage.delete(key, revision);
  };
  changes = 0;
  await write(1, { revocation: MARK, identifies: { username: "alice" } });
  await write(2, { identifies: { username: "bob" } });
  await record({ issuerFingerprint: ISSUER });
  await remove(3);
  assert.deepEqual([listSerials(), changes], [["aaaa00000001"], 0]);
  await write(2, { revocation: MARK });
  assert.deepEqual([listSerials(), changes], [["aaaa00000001", "aaaa00000002"], 1]);
  await write(2, {});
  assert.deepEqual([listSerials(), changes], [["aaaa00000001"], 2]);
  await storage.create("/registry/tlsboot/revocations/serial:0a1b", unrecordedAt);
  assert.deepEqual([listSerials(), changes], [["aaaa00000001", "0a1b"], 3]);
  watches[0]?.stop();
  await remove(1);
  assert.deepEqual([listSerials(), changes], [["aaaa00000001", "0a1b"], 3]);
  await watches[0]?.beginAgain();
  assert.deepEqual([listSerials(), changes], [["0a1b"], 4]);
  certificates[Symbol.dispose]();
  await write(2, { revocation: MARK });
  assert.deepEqual([listSerials(), changes], [["0a1b"], 4]);
});

test("listRevokedCertificates() lists revoked records and unrecorded Revocations, and nothing of other kinds", () => {
  const [marked, other] = createRecords([revoked, { issuerFingerprint: ISSUER }]);
  const known = createRevocation({ kind: "serial", value: "0b" }, { reason: "keyCompromise" });
  const listed = listRevokedCertificates([
    { key: "/registry/tlsboot/issuedcertificates/0000000001", object: marked! },
    { key: "/registry/tlsboot/issuedcertificates/0000000002", object: other! },
    { key: "/registry/tlsboot/revocations/serial:0a1b", object: unrecordedAt },
    { key: "/registry/tlsboot/revocations/serial:0b", object: known },
    { key: "/registry/things/serial:0a1b", object: unrecordedAt },
  ]);
  assert.deepEqual(listed.map(({ serialNumber }) => serialNumber.slice(0, 12)), ["aaaa00000001", "0a1b"]);
});
