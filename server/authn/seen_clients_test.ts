import assert from "node:assert/strict";
import { test } from "node:test";
import type { TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTestApp } from "../../tests/support/test_app.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import { SECOND_TRUST_ANCHOR, TRUST_ANCHOR } from "../../tests/support/trust_anchor.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { followSeenClients } from "./seen_clients.ts";

const NOW = new Date("2026-11-28T10:00:00Z");
const ROTATIONS = "/apis/tlsboot/v1alpha1/carotations";
const REPORT_KEYS = "/registry/tlsboot/trustreports/";
const REPORTS = "/apis/tlsboot/v1alpha1/trustreports";

test("a user is reported with the CA of the certificate only during a rotation, once per CA and ten minutes", async () => {
  const [ca, otherCa] = [await createClientCa(NOW), await createClientCa(NOW)];
  const clock = createFakeClock(NOW.toISOString());
  await using app = await createTestApp({ clock, clientCas: () => [ca.certificate, otherCa.certificate] });
  const subject = { commonName: "alice", organizations: [] };
  const [peer, otherPeer] = [await verifiedPeer(ca, NOW, subject), await verifiedPeer(otherCa, NOW, subject)];
  const use = (one: typeof peer) => app.send("GET", "/version", { user: undefined, peer: one });
  const report = async () => {
    const { items } = JSON.parse((await app.send("GET", REPORTS)).text) as { readonly items: readonly TrustReport[] };
    return items.find(({ status }) => status.username === "alice");
  };
  await use(peer);
  const spec = { step: "Trust", isLeaked: true, oldCA: TRUST_ANCHOR, newCA: SECOND_TRUST_ANCHOR };
  await app.send("POST", ROTATIONS, { body: { metadata: { name: "ca" }, spec } });
  assert.equal(await report(), undefined);

  await use(peer);
  const seen = await eventually("alice is reported", report);
  const { metadata, spec: { trusted }, status } = seen;
  assert.deepEqual([metadata.name, trusted, status.issuer, status.lastSeen], [
    "user:alice",
    undefined,
    ca.certificate.sha256Fingerprint,
    "2026-11-28T10:00:00Z",
  ]);
  await clock.advance(9 * 60_000);
  await use(peer);
  await use(otherPeer);
  const other = await eventually("alice is reported with the other CA", async () => {
    const found = await report();
    return found?.status.issuer === otherCa.certificate.sha256Fingerprint ? found : undefined;
  });
  assert.equal(other.status.lastSeen, "2026-11-28T10:09:00Z");
  await clock.advance(60_000);
  await use(peer);
  await eventually("alice is seen again", async () => {
    return (await report())?.status.lastSeen === "2026-11-28T10:10:00Z" || undefined;
  });
});

/** Follows a store with rotations, and counts the reports that are read before they are written. */
async function setUp() {
  const ca = await createClientCa(NOW);
  const clock = createFakeClock(NOW);
  const storage = createMemoryStorage({ clock });
  const logger = createMemoryLogger();
  const deps = { storage, clock, random: createSeededRandom(), logger, clientCas: () => [ca.certificate] };
  let reads = 0;
  const get = storage.get.bind(storage);
  storage.get = (key) => {
    if (key.startsWith(REPORT_KEYS)) reads += 1;
    return get(key);
  };
  const alice = await createLeaf(ca, "alice");
  return {
    ...deps,
    ca,
    alice,
    get,
    countReads: () => reads,
    /** Writes the rotation, which began at a time of the day. */
    async rotate(beganAt: string, step = "Trust"): Promise<void> {
      const key = "/registry/tlsboot/carotations/ca";
      const object = { metadata: { name: "ca" }, spec: { step }, status: { beganAt: `2026-11-28T${beganAt}:00Z` } };
      const stored = await get(key);
      if (stored === undefined) await storage.create(key, object as KubeObject);
      else await storage.update(key, object as KubeObject, stored.revision);
    },
    /** Notes certificates in a server of its own, and waits for the reports. */
    async noteOnce(...leaves: readonly CertificateFacts[]): Promise<void> {
      await using seen = await followSeenClients(deps);
      for (const leaf of leaves) seen.note(leaf);
    },
    async read(user = "alice"): Promise<TrustReport | undefined> {
      return (await get(`${REPORT_KEYS}user:${user}`))?.object as TrustReport | undefined;
    },
  };
}

async function createLeaf(ca: Authority, commonName: string): Promise<CertificateFacts> {
  const facts = parseCertificate((await verifiedPeer(ca, NOW, { commonName })).chain[0]!);
  assert.ok(facts.ok);
  return facts.value;
}

test("note() reports users of trusted CAs, and only while a rotation is in progress", async () => {
  const { alice, rotate, noteOnce, read, countReads, logger } = await setUp();
  await noteOnce(alice);
  await rotate("10:00", "Finish");
  await noteOnce(alice);
  assert.equal(countReads(), 0);
  await rotate("10:00");
  await noteOnce(await createLeaf(await createClientCa(NOW), "mallory"));
  assert.deepEqual([countReads(), logger.entries], [0, []]);
  await noteOnce(alice);
  assert.equal((await read())?.status.lastSeen, "2026-11-28T10:00:00Z");
});

test("note() reports a user again after ten minutes or in another rotation, and keeps the rest of the report", async () => {
  const { alice, rotate, noteOnce, read, clock, countReads, ...deps } = await setUp();
  await rotate("09:00");
  await using seen = await followSeenClients({ ...deps, clock });
  seen.note(alice);
  await settle();
  const first = await read();
  seen.note(alice);
  await rotate("09:00", "Switch");
  seen.note(alice);
  await settle();
  assert.equal(countReads(), 1);
  await clock.advance(9 * 60_000);
  await noteOnce(alice);
  assert.deepEqual([countReads(), await read()], [2, first], "another server has seen the user already");
  await clock.advance(60_000);
  await noteOnce(alice);
  const second = await read();
  assert.deepEqual([second?.status.lastSeen, second?.metadata.uid], ["2026-11-28T10:10:00Z", first?.metadata.uid]);
  seen.note(alice);
  await clock.advance(60_000);
  await rotate("10:11");
  seen.note(alice);
  await settle();
  assert.equal((await read())?.status.lastSeen, "2026-11-28T10:11:00Z");
});

test("note() reports a user at the next use if the report cannot be written", async () => {
  const { alice, rotate, storage, read, logger, ...deps } = await setUp();
  await rotate("10:00");
  await using seen = await followSeenClients({ ...deps, storage, logger });
  const works = storage.get;
  storage.get = () => Promise.reject(new Error("etcd is away"));
  seen.note(alice);
  await settle();
  assert.deepEqual(logger.messages("warn"), ["cannot report that a client was seen"]);
  storage.get = works;
  seen.note(alice);
  await settle();
  assert.notEqual(await read(), undefined);
});

test("note() writes at most 32 reports at once, and none of a rotation that begins after the end", async () => {
  const { ca, alice, rotate, storage, countReads, ...deps } = await setUp();
  const seen = await followSeenClients({ ...deps, storage });
  await rotate("10:00");
  for (let index = 0; index < 33; index++) {
    seen.note({ ...alice, subject: { ...alice.subject, commonName: `u${index}` } });
  }
  assert.equal(countReads(), 32);
  await seen[Symbol.asyncDispose]();
  assert.equal((await storage.list(REPORT_KEYS)).items.length, 32);
  seen.note(await createLeaf(ca, "late"));
  await settle();
  assert.equal(countReads(), 33);
  const ended = await followSeenClients({ ...deps, storage });
  await rotate("10:00", "Finish");
  await ended[Symbol.asyncDispose]();
  await rotate("10:00");
  ended.note(await createLeaf(ca, "later"));
  await settle();
  assert.equal(countReads(), 33);
});
