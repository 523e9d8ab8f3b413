import assert from "node:assert/strict";
import { test } from "node:test";
import { getCsrPhase } from "../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { formatRecordName } from "../../core/register/record.ts";
import { createRevocation, type RevocationTarget } from "../../core/revocation/revocation.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTestApp, createUser, type TestApp } from "../../tests/support/test_app.ts";
import type { Part } from "./parts.ts";
import { keepRevocations, revocationObjects, settleRevokedRequests } from "./revocation.ts";
import { AppError } from "../../core/errors.ts";
import { readRevocableRequest, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createTestApprover } from "../../tests/support/test_approver.ts";
import type { FindRevokedRequest } from "../../core/approval/decide_from_sources.ts";
import { createSigner } from "../../controllers/signer/signer.ts";

const REVOCATIONS = "/apis/tlsboot/v1alpha1/revocations";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const RECORDS = "/registry/tlsboot/issuedcertificates/";

/** Starts an API with the part under test over it. */
async function start(storage = createMemoryStorage({ clock: createFakeClock() })): Promise<TestApp & { keep(): Part }> {
  const clock = createFakeClock("2026-11-28T02:00:00Z");
  const app = await createTestApp({ clock, storage, objects: revocationObjects() });
  const deps = { clock, random: createSeededRandom(), logger: createMemoryLogger() };
  return { ...app, keep: () => keepRevocations({ server: app.api, storage: app.storage }, deps) };
}

async function record(app: TestApp, sequence: number, subject: string, edit: Partial<IssuedCertificateSpec> = {}) {
  const name = formatRecordName(sequence);
  const spec = {
    sequence,
    fingerprint: `f${sequence}`,
    serialNumber: `0${sequence}`,
    subject,
    notBefore: "2026-11-28T01:00:00Z",
    notAfter: "2027-11-28T01:00:00Z",
    issuedAt: "2026-11-28T01:00:00Z",
    ...edit,
  };
  const object: IssuedCertificate = { metadata: { name, uid: name }, spec, status: {} };
  await app.storage.create(`${RECORDS}${name}`, object);
}

async function listMarks(app: TestApp): Promise<Readonly<Record<string, string>>> {
  const { items } = await app.storage.list(RECORDS);
  return Object.fromEntries(items.flatMap(({ object }) => {
    const { spec, status } = object as IssuedCertificate;
    return status.revocation === undefined ? [] : [[spec.sequence, status.revocation.name]];
  }));
}

async function revoke(app: TestApp, target: RevocationTarget): Promise<void> {
  const { code, text } = await app.send("POST", REVOCATIONS, {
    body: createRevocation(target, { reason: "keyCompromise", message: "stolen" }),
  });
  assert.equal(code, 201, text);
}

async function addRequest(app: TestApp, name: string, username: string, isApproved = false): Promise<void> {
  const created = await app.send("POST", CSRS, { user: createUser(username), body: await buildCsr({ name }) });
  assert.ok(created.code === 201 || created.code === 403, created.text);
  if (!isApproved) return;
  const body = { ...JSON.parse(created.text), status: { conditions: [condition("Approved")] } };
  assert.equal((await app.send("PUT", `${CSRS}/${name}/approval`, { body })).code, 200);
}

async function describe(app: TestApp, name: string): Promise<string> {
  const { text } = await app.send("GET", `${CSRS}/${name}`);
  const phase = getCsrPhase(JSON.parse(text) as CertificateSigningRequest);
  return `${phase.kind} ${"reason" in phase ? phase.reason : ""} ${"message" in phase ? phase.message : ""}`.trim();
}

/** Requesters in this test may create requests. */
async function permitAll(app: TestApp): Promise<void> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const rules = [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }];
  await app.send("POST", `${rbac}/clusterroles`, { body: { metadata: { name: "all" }, rules } });
  const subjects = [{ kind: "Group", name: "system:authenticated" }];
  const roleRef = { kind: "ClusterRole", name: "all", apiGroup: "rbac.authorization.k8s.io" };
  await app.send("POST", `${rbac}/clusterrolebindings`, { body: { metadata: { name: "all" }, subjects, roleRef } });
}

test("keepRevocations() denies pending requests, fails approved ones, and does not change others", async () => {
  await using app = await start();
  await permitAll(app);
  await addRequest(app, "pending", "alice");
  await addRequest(app, "approved", "alice", true);
  await addRequest(app, "other", "bob");
  const part = app.keep();
  await settle();
  await revoke(app, { kind: "user", value: "alice" });
  await settle(50);
  assert.match(
    await describe(app, "pending"),
    /^denied Revoked the requester: user "alice" is revoked since .*: stolen\)$/,
  );
  assert.match(await describe(app, "approved"), /^failed Revoked the requester: user "alice" is revoked since/);
  assert.equal(await describe(app, "other"), "pending");
  await part[Symbol.asyncDispose]?.();
});

test("keepRevocations() denies a request that was admitted before, also when another writer interferes with the first pass", async () => {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  await using app = await start(storage);
  await permitAll(app);
  await addRequest(app, "pending", "alice");
  const late = await storage.get("/registry/certificatesigningrequests/pending");
  const part = app.keep();
  await settle();
  const list = storage.list.bind(storage);
  storage.list = async (prefix, options) => {
    const page = await list(prefix, options);
    if (prefix !== "/registry/certificatesigningrequests/") return page;
    storage.list = list;
    for (const { key, object, revision } of page.items) await storage.update(key, object, revision);
    return page;
  };
  await revoke(app, { kind: "user", value: "alice" });
  await settle(50);
  assert.equal(await describe(app, "pending"), "pending");
  await app.clock.advance(1_000);
  await settle(50);
  assert.match(await describe(app, "pending"), /^denied Revoked/);
  const object = { ...late!.object, metadata: { ...late!.object.metadata, name: "late", uid: "late" } };
  await storage.create("/registry/certificatesigningrequests/late", object);
  await app.clock.advance(5_000);
  await settle(50);
  assert.match(await describe(app, "late"), /^denied Revoked/);
  await part[Symbol.asyncDispose]?.();
});

test("keepRevocations() denies a request that was admitted before, also when a record was marked between the passes", async () => {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  await using app = await start(storage);
  await permitAll(app);
  await addRequest(app, "pending", "alice");
  const late = await storage.get("/registry/certificatesigningrequests/pending");
  const part = app.keep();
  await settle();
  await revoke(app, { kind: "user", value: "alice" });
  await settle(50);
  await record(app, 1, "CN=alice");
  await settle(50);
  assert.deepEqual(Object.keys(await listMarks(app)), ["1"]);
  const object = { ...late!.object, metadata: { ...late!.object.metadata, name: "late", uid: "late" } };
  await storage.create("/registry/certificatesigningrequests/late", object);
  await app.clock.advance(5_000);
  await settle(50);
  assert.match(await describe(app, "late"), /^denied Revoked/);
  await part[Symbol.asyncDispose]?.();
});

test("keepRevocations() settles the same requests after a restart in between", async () => {
  await using app = await start();
  await permitAll(app);
  await addRequest(app, "pending", "alice");
  await record(app, 1, "CN=alice");
  await revoke(app, { kind: "user", value: "alice" });
  assert.equal(await describe(app, "pending"), "pending");
  const part = app.keep();
  await settle(50);
  assert.match(await describe(app, "pending"), /^denied Revoked/);
  assert.deepEqual(await listMarks(app), { 1: "user:alice" });
  await part[Symbol.asyncDispose]?.();
});

test("keepRevocations() marks the records of revoked certificates, old and new, until the revocation is taken back", async () => {
  await using app = await start();
  await record(app, 1, "CN=alice,O=devs");
  await record(app, 2, "CN=bob,O=devs");
  await record(app, 3, "CN=kube-apiserver,O=devs", { source: "serving" });
  const part = app.keep();
  await settle();
  await revoke(app, { kind: "group", value: "devs" });
  await settle(50);
  assert.deepEqual(await listMarks(app), { 1: "group:devs", 2: "group:devs" });
  await record(app, 4, "CN=carol,O=devs", { source: "sign" });
  await record(app, 5, "CN=carol,O=ops", { source: "sign" });
  await settle(50);
  assert.deepEqual(await listMarks(app), { 1: "group:devs", 2: "group:devs", 4: "group:devs" });
  await revoke(app, { kind: "user", value: "alice" });
  await settle(50);
  assert.equal((await app.send("DELETE", `${REVOCATIONS}/group:devs`)).code, 200);
  await settle(50);
  assert.deepEqual(await listMarks(app), { 1: "user:alice" });
  const { at } = await app.send("GET", "/apis/tlsboot/v1alpha1/issuedcertificates/0000000001");
  assert.deepEqual(at("status/revocation"), {
    name: "user:alice",
    reason: "keyCompromise",
    message: "stolen",
    revokedBy: "admin",
    time: "2026-11-28T02:00:00Z",
  });
  await part[Symbol.asyncDispose]?.();
});

test("keepRevocations() on two servers over one storage marks every record once, and keeps the seal", async () => {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  await using one = await start(storage);
  await using two = await start(storage);
  const count = 700;
  for (let sequence = 1; sequence <= count; sequence++) await record(one, sequence, `CN=user-${sequence},O=devs`);
  const seal = { time: null, issuerFingerprint: "f", algorithm: "a", signature: "cw==" };
  const last = await storage.get(`${RECORDS}${formatRecordName(count)}`);
  await storage.update(last!.key, { ...last!.object, status: { seal } } as IssuedCertificate, last!.revision);
  const parts = [one.keep(), two.keep()];
  await settle();
  await revoke(two, { kind: "group", value: "devs" });
  await settle(200);
  await Promise.all([one.clock.advance(10_000), two.clock.advance(10_000)]);
  assert.equal(Object.keys(await listMarks(one)).length, count);
  const { object } = (await storage.get(last!.key))!;
  assert.deepEqual((object as IssuedCertificate).status.seal, seal);
  for (const part of parts) await part[Symbol.asyncDispose]?.();
});

const NEVER = new AbortController().signal;
const APPROVED = [condition("Approved", "2026-01-01T00:00:00Z")];
const logger = createMemoryLogger();

/** Refuses every request of the bootstrap token of `buildCsr`. */
function createFindRevoked(): FindRevokedRequest {
  const index = new RevocationIndex();
  index.put(createRevocation({ kind: "token", value: "abcdef" }, { reason: "keyCompromise" }));
  return (csr) => Promise.resolve(index.findForRequest({ ...readRevocableRequest(csr), tokenSecret: undefined }));
}

const findRevoked = createFindRevoked();

async function createStore(...options: readonly CsrOptions[]) {
  return createMemoryObjectStore({ objects: await Promise.all(options.map(buildCsr)) });
}

test("createApprover() denies revoked requests before any rule, without a review of permissions", async () => {
  const store = await createStore({});
  const reviewer = { isAllowed: () => assert.fail("no rule is asked") };
  const { reconcile } = createTestApprover({ store, sources: { reviewer, findRevoked } });
  assert.deepEqual(await reconcile("csr-1", store.peek("csr-1"), NEVER), { kind: "done" });
  const [denied] = store.peek("csr-1")?.status.conditions ?? [];
  assert.deepEqual([denied?.type, denied?.reason], ["Denied", "Revoked"]);
  assert.match(denied?.message ?? "", /^the requester: token "abcdef" is revoked/);
});

test("createSigner() fails revoked requests, and signs the others", async () => {
  const store = await createStore(
    { name: "revoked", conditions: APPROVED },
    { name: "other", conditions: APPROVED, username: "system:bootstrap:bcdefg" },
  );
  const ca = await createSigningCa();
  const { reconcile } = createSigner({
    store,
    authorities: () => Promise.resolve(ca),
    signerNames: ["kubernetes.io/kube-apiserver-client-kubelet"],
    signingDurationSeconds: 3600,
    clock: createFakeClock("2026-03-04T05:06:07Z"),
    random: createSeededRandom(),
    logger,
    findRevoked,
  });
  for (const name of ["revoked", "other"]) await reconcile(name, store.peek(name), NEVER);
  const revoked = store.peek("revoked")?.status;
  assert.deepEqual([revoked?.certificate, revoked?.conditions?.at(-1)?.reason], [undefined, "Revoked"]);
  assert.deepEqual(revoked?.conditions?.map(({ type }) => type), ["Approved", "Failed"]);
  assert.notEqual(store.peek("other")?.status.certificate, undefined);
});

test("settleRevokedRequests() settles open requests only, and reports one that has changed meanwhile", async () => {
  const clock = createFakeClock("2026-03-04T05:06:07Z");
  const store = await createStore(
    { name: "pending" },
    { name: "approved", conditions: APPROVED },
    { name: "denied", conditions: [condition("Denied")] },
    { name: "issued", conditions: APPROVED, certificate: "eA==" },
    { name: "other", username: "system:bootstrap:bcdefg" },
  );
  const list = () => Promise.all(["pending", "approved", "denied", "issued", "other"].map((name) => store.peek(name)!));
  const deps = { store: { ...store, list }, findRevoked, clock, logger };
  assert.equal(await settleRevokedRequests(deps, NEVER), false);
  const types = (await list()).map(({ status }) => (status.conditions ?? []).map(({ type }) => type).join("+"));
  assert.deepEqual(types, ["Denied", "Approved+Failed", "Denied", "Approved", ""]);

  const conflict = () => Promise.reject(new AppError("conflict", "it was written in between"));
  const fresh = await createStore({ name: "pending" });
  const busy = { list: () => Promise.resolve([fresh.peek("pending")!]), update: conflict };
  assert.equal(await settleRevokedRequests({ ...deps, store: busy }, NEVER), true);
});
