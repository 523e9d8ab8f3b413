import assert from "node:assert/strict";
import { test } from "node:test";
import { EXPIRED_CERTIFICATE_KEY } from "../../core/machine/node_recovery.ts";
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { type CertificateDescription, describeIssued } from "../../core/register/record.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { creation, update, validateWith } from "../../tests/support/admission_requests.ts";
import { resourceRequest } from "../../tests/support/test_rbac.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import type { PeerCertificate } from "./authentication.ts";
import { createMetricsRegistry } from "../metrics/registry.ts";
import { NodeRecovery } from "./node_recovery.ts";
import { Register, REGISTER_PREFIX } from "../register/register.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import type { Write } from "../storage/storage.ts";

const ADDRESS = "192.0.2.1";
const SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
const START = new Date("2026-11-28T02:00:00Z");
const PLAIN: SubjectFields = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const ca = await createClientCa(START);

function readLeaf({ chain }: PeerCertificate): CertificateFacts {
  const facts = parseCertificate(chain[0]!);
  assert.ok(facts.ok);
  return facts.value;
}

/** Records a certificate for each subject, one a day, and creates the recovery ten days later. */
async function setUp(
  subjects: readonly SubjectFields[] = [PLAIN],
  { edit, perHour = 10 }: { readonly edit?: Partial<CertificateDescription>; readonly perHour?: number } = {},
) {
  const clock = createFakeClock(START.toISOString());
  const storage = createMemoryStorage({ clock });
  const random = createSeededRandom();
  const register = await Register.open({ storage, clock, random });
  const peers: PeerCertificate[] = [];
  for (const [index, subject] of subjects.entries()) {
    const peer = await verifiedPeer(ca, new Date(START.getTime() + index * DAY_MS), subject);
    peers.push(peer);
    const description = describeIssued(readLeaf(peer), { source: "CertificateSigningRequest", signerName: SIGNER });
    const { identifies: _identifies, ...earlier } = description;
    await register.record(index > 0 && edit !== undefined ? { ...earlier, ...edit } : description, []);
  }
  await clock.advance(10 * DAY_MS);
  const logger = createMemoryLogger();
  const registry = createMetricsRegistry();
  const deps = { storage, register, registry, clock, random, logger, graceMs: 90 * DAY_MS, perHour };
  const recovery = new NodeRecovery(deps);
  /** Counts the recoveries with a result. */
  const count = async (result: string) => {
    const { values } = await registry.getSingleMetric("tlsboot_node_recoveries_total")!.get();
    return values.find(({ labels }) => labels["result"] === result)?.value ?? 0;
  };
  const listEvents = async () =>
    (await storage.list("/registry/events/")).items.map(({ object }) => (object as Event).message);
  /** Identifies the holder of a certificate, whose requests are to be decided. */
  const identify = async (index = 0): Promise<UserInfo> => {
    const result = await recovery.authenticate(peers[index]!, [ca.certificate], ADDRESS);
    assert.equal(result.kind, "user");
    return result.user;
  };
  return { ...deps, recovery, peers, count, listEvents, identify };
}

/** Records a certificate for each subject, one a day, and then recovers with the first one. */
async function recoverWith(
  first: SubjectFields,
  later: readonly SubjectFields[],
  edit?: Partial<CertificateDescription>,
): Promise<string> {
  const { recovery, peers } = await setUp([first, ...later], edit === undefined ? {} : { edit });
  const result = await recovery.authenticate(peers[0]!, [ca.certificate], ADDRESS);
  return result.kind === "user" ? result.user.username : result.kind === "failed" ? result.reason : result.kind;
}

for (
  const { name, edit } of [
    { name: "plain", edit: {} },
    { name: "OU=x", edit: { organizationalUnits: ["x"] } },
    { name: "an empty OU", edit: { organizationalUnits: [""] } },
    { name: "C=DE", edit: { countries: ["DE"] } },
    { name: "an empty C", edit: { countries: [""] } },
    { name: "serialNumber=5", edit: { serialNumber: "5" } },
  ]
) {
  test(`an expired certificate does not recover a node that has a newer one: ${name}`, async () => {
    const newer = /a newer certificate was issued for "system:node:n1"/;
    const unusual = { ...PLAIN, ...edit };
    assert.match(await recoverWith(unusual, [PLAIN]), newer);
    assert.match(await recoverWith(PLAIN, [unusual]), newer);
    const others = [{ ...PLAIN, commonName: "system:node:n2" }, { commonName: "alice" }];
    assert.equal(await recoverWith(unusual, others), "system:node:n1");
  });
}

test("an expired certificate recovers no node while a later certificate may belong to any node", async () => {
  assert.match(
    await recoverWith(PLAIN, [PLAIN], { subject: "CN=system:node:n1,CN=system:node:n2" }),
    /does not say which node record 2 is for, so it may be a newer certificate of this node/,
  );
  const ofOtherSigner = { subject: "CN=system:node:n1,CN=system:node:n2", signerName: "example.com/web" };
  assert.equal(await recoverWith(PLAIN, [PLAIN], ofOtherSigner), "system:node:n1");
  // An earlier build on the same etcd records no user, but a subject that can be parsed.
  const subject = "CN=system:node:n1,OU=,O=system:nodes";
  assert.match(await recoverWith(PLAIN, [PLAIN], { subject }), /a newer certificate was issued/);
});

test("authenticate() identifies only the holder of an expired certificate of a trusted CA", async () => {
  const { recovery, peers: [peer], identify } = await setUp();
  const leaf = readLeaf(peer!);
  const { username, groups, extra } = await identify();
  assert.deepEqual([username, groups], [PLAIN.commonName, PLAIN.organizations]);
  assert.deepEqual(extra[EXPIRED_CERTIFICATE_KEY], [leaf.sha256Fingerprint]);
  const other = await createClientCa(START);
  const fresh = await verifiedPeer(ca, new Date(START.getTime() + 10 * DAY_MS), PLAIN);
  const untilNow = await verifiedPeer(ca, START, PLAIN, { notAfter: new Date(START.getTime() + 10 * DAY_MS) });
  for (
    const { name, chain, roots = [ca.certificate] } of [
      { name: "a certificate of another CA", chain: peer!.chain, roots: [other.certificate] },
      { name: "a certificate that is valid", chain: fresh.chain },
      { name: "a certificate that is valid until now", chain: untilNow.chain },
      { name: "no certificate", chain: [] },
      { name: "bytes that are no certificate", chain: [Uint8Array.of(1)] },
    ]
  ) {
    const result = await recovery.authenticate({ kind: "unverified", reason: "expired", chain }, roots, ADDRESS);
    assert.deepEqual(result, { kind: "none" }, name);
  }
});

test("authenticate() reports a refusal: each in a metric and the log, and once a minute for each node in an Event", async () => {
  const n2 = { ...PLAIN, commonName: "system:node:n2" };
  const { recovery, peers, clock, logger, count, listEvents } = await setUp([PLAIN, PLAIN, n2, n2]);
  const refuse = (index: number, address?: string) => recovery.authenticate(peers[index]!, [ca.certificate], address);
  const refused = await refuse(0, ADDRESS);
  assert.ok(refused.kind === "failed");
  assert.deepEqual([refused.isGenuine, await count("refused")], [true, 1]);
  assert.match(refused.reason, /^expired client certificate: a newer certificate was issued/);
  await refuse(0);
  await refuse(2);
  await clock.advance(60_000);
  await refuse(0);
  // A certificate that is in no register is not suspicious.
  await recovery.authenticate(await verifiedPeer(ca, START, PLAIN), [ca.certificate], ADDRESS);
  assert.equal(await count("refused"), 5);
  assert.equal(logger.messages("warn").length, 5);
  assert.deepEqual((await listEvents()).map((text) => /^An attempt(.*) with/.exec(text!)?.[1]).sort(), [
    ' from 192.0.2.1 to recover "system:node:n1"',
    ' to recover "system:node:n1"',
    ' to recover "system:node:n2"',
  ]);
});

test("authenticate() reports no Event about a refusal that a second machine cannot have caused", async () => {
  const { recovery, peers, clock, count, listEvents } = await setUp();
  await clock.advance(100 * DAY_MS);
  const { kind } = await recovery.authenticate(peers[0]!, [ca.certificate], ADDRESS);
  assert.deepEqual([kind, await count("refused"), await listEvents()], ["failed", 1, []]);
});

test("isAllowed() lets a recovering node create requests, and read its own", async () => {
  const { recovery, storage, identify } = await setUp();
  const user = await identify();
  const { username, extra } = user;
  const csr = await buildCsr({ username });
  const write = (name: string, spec: object) =>
    storage.create(`/registry/certificatesigningrequests/${name}`, { ...csr, metadata: { name }, spec } as typeof csr);
  await write("own", { ...csr.spec, extra });
  await write("other-user", { ...csr.spec, username: "system:node:n2", extra });
  await write("other-certificate", { ...csr.spec, extra: { [EXPIRED_CERTIFICATE_KEY]: ["ff"] } });
  await write("other-credential", csr.spec);
  const csrs = { apiGroup: "certificates.k8s.io", resource: "certificatesigningrequests", name: "own" };
  for (
    const { edit, want } of [
      { edit: { verb: "create", name: "" }, want: true },
      { edit: { verb: "get" }, want: true },
      { edit: { verb: "list" }, want: true },
      { edit: { verb: "watch" }, want: true },
      { edit: { verb: "list", name: "" }, want: false },
      { edit: { verb: "update" }, want: false },
      { edit: { verb: "delete", name: "" }, want: false },
      { edit: { verb: "get", name: "missing" }, want: true },
      { edit: { verb: "get", name: "other-user" }, want: false },
      { edit: { verb: "get", name: "other-certificate" }, want: false },
      { edit: { verb: "get", name: "other-credential" }, want: false },
      { edit: { verb: "create", subresource: "approval" }, want: false },
      { edit: { verb: "create", resource: "podcertificaterequests" }, want: false },
      { edit: { verb: "create", apiGroup: "" }, want: false },
    ]
  ) {
    assert.equal(await recovery.isAllowed(user, resourceRequest({ ...csrs, ...edit })), want, JSON.stringify(edit));
  }
  assert.equal(await recovery.isAllowed(user, { kind: "path", verb: "create", path: "/version" }), false);
});

/** Sends a request of a recovering node through the plugin, and makes the write that belongs to it. */
async function submit(
  { recovery, storage }: Pick<Awaited<ReturnType<typeof setUp>>, "recovery" | "storage">,
  user: UserInfo,
  options: Parameters<typeof buildCsr>[0] = {},
  edit: Parameters<typeof creation>[1] = {},
) {
  const { username } = user;
  const csr = await buildCsr({ username, commonName: username, ...options });
  const writes: Write[] = [];
  const alsoWrite = (write: Write) => void writes.push(write);
  const refusal = await validateWith(recovery.plugin, creation(csr, { user, address: ADDRESS, alsoWrite, ...edit }));
  if (writes.length > 0) await storage.transact(writes);
  return { refusal: refusal?.message, writes: writes.length };
}

test("NodeRecovery binds an expired certificate to the key of the first request, and refuses other keys", async () => {
  const world = await setUp();
  const { storage, identify, count, listEvents, logger } = world;
  const user = await identify();
  assert.deepEqual(await submit(world, user), { refusal: undefined, writes: 1 });
  const [record] = (await storage.list(REGISTER_PREFIX)).items.map(({ object }) => object as IssuedCertificate);
  const { publicKeyFingerprint, ...recovery } = record!.status.recovery!;
  assert.match(publicKeyFingerprint ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(recovery, { address: ADDRESS, time: "2026-12-08T02:00:00Z" });
  assert.deepEqual(logger.messages("info"), ["a node with an expired certificate recovers"]);
  assert.deepEqual(await submit(world, user, { name: "again" }), { refusal: undefined, writes: 0 });
  assert.deepEqual([await count("accepted"), await count("refused")], [1, 0]);

  const other = await submit(world, user, { keyAlgorithm: "ecdsa-p384" });
  assert.equal(
    other.refusal,
    'another key has already recovered "system:node:n1" with this certificate from 192.0.2.1 at 2026-12-08T02:00:00Z',
  );
  assert.equal(other.writes, 0);
  assert.deepEqual([await count("accepted"), await count("refused")], [1, 1]);
  assert.equal((await listEvents()).length, 1);
});

test("NodeRecovery decides only valid new requests of recovering nodes", async () => {
  const world = await setUp();
  const user = await world.identify();
  const unknown = { ...user, extra: { [EXPIRED_CERTIFICATE_KEY]: ["ff"] } };
  const missing = "the expired certificate is not in the register";
  assert.deepEqual(await submit(world, { ...user, extra: {} }), { refusal: undefined, writes: 0 });
  assert.deepEqual(await submit(world, user, { request: "eA==" }), { refusal: undefined, writes: 0 });
  assert.deepEqual(await submit(world, user, {}, { subresource: "status" }), { refusal: undefined, writes: 0 });
  assert.deepEqual(await submit(world, unknown), { refusal: missing, writes: 0 });
  const csr = await buildCsr({ username: user.username });
  assert.equal(await validateWith(world.recovery.plugin, update(csr, csr, { user: unknown })), undefined);
  assert.equal(await validateWith(world.recovery.plugin, creation(csr, { user })), undefined, "a dry run");
  const { storage } = world;
  storage.get = () => Promise.resolve(undefined);
  assert.deepEqual(await submit(world, user), { refusal: missing, writes: 0 });
});

test("NodeRecovery recovers as many nodes in an hour as its limit allows", async () => {
  const world = await setUp([PLAIN, { ...PLAIN, commonName: "system:node:n2" }], { perHour: 1 });
  const [first, second] = [await world.identify(0), await world.identify(1)];
  assert.equal((await submit(world, first)).writes, 1);
  const refused = await submit(world, second);
  assert.match(refused.refusal ?? "", /^this server has recovered 1 nodes within an hour/);
  assert.deepEqual([refused.writes, await world.count("refused"), await world.listEvents()], [0, 1, []]);
  await world.clock.advance(3_600_000);
  assert.equal((await submit(world, second)).writes, 1);
});
