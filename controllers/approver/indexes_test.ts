import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import {
  createCsrIndex,
  createNodeCertificates,
  createNodeWatch,
  type NodeCertificates,
  type NodeCertificatesOptions,
} from "./indexes.ts";
import { INVENTORY_ONLY, type Policy } from "../../core/approval/policy.ts";
import { readRecordedNodeCertificate } from "../../core/approval/evidence/claims.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { ObjectChange } from "../../core/ports.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { createTestApprover } from "../../tests/support/test_approver.ts";
import { DONE, type Outcome } from "../engine/loop.ts";

const approved = (name: string, username: string) => buildCsr({ name, username, conditions: [condition("Approved")] });

test("createCsrIndex() lists the approved requests of each requester, also after a watch that broke", async () => {
  const store = createMemoryObjectStore<CertificateSigningRequest>({
    objects: [await approved("a1", "a"), await buildCsr({ name: "a2", username: "a" }), await approved("b1", "b")],
  });
  const index = createCsrIndex(store);
  const listNames = (username: string) => [...index.listApproved(username)].map(getName);
  const abort = new AbortController();
  const follow = async () => {
    for await (const _ of index.changes(abort.signal)) { /* recorded by the index */ }
  };
  const first = assert.rejects(follow(), /broken/);
  await settle();
  assert.deepEqual([listNames("a"), listNames("b"), listNames("c")], [["a1"], ["b1"], []]);

  index.put(await approved("a2", "a"));
  assert.deepEqual(listNames("a"), ["a1", "a2"]);
  await store.delete("b1", abort.signal);
  await settle();
  assert.deepEqual(listNames("b"), []);

  store.breakWatches(new Error("broken"));
  await first;
  await store.delete("a1", abort.signal);
  const second = assert.rejects(follow());
  await settle();
  assert.deepEqual(listNames("a"), []);
  abort.abort();
  await second;
});

test("createNodeWatch() reports no names before the first listing, and why it failed", async () => {
  const clock = createFakeClock();
  const nodes = createMemoryObjectStore<KubeObject>({ objects: [{ metadata: { name: "a" } }] });
  let isNeeded = false;
  const watch = createNodeWatch({ nodes: () => nodes, isNeeded: () => isNeeded, clock });
  const abort = new AbortController();
  nodes.failNext("changes", new AppError("access_denied", "forbidden"));
  const iterate = async () => {
    for await (const _ of watch.changes(abort.signal)) { /* until it ends */ }
  };
  const first = iterate();
  await clock.advance(5_000);
  assert.deepEqual(nodes.calls, []);
  assert.deepEqual(
    [watch.reported().kind, watch.isStarting()],
    ["failed", false],
    "nothing waits for what no one needs",
  );
  isNeeded = true;
  assert.ok(watch.isStarting());
  const refused = assert.rejects(first, /forbidden/);
  await clock.advance(1_000);
  await refused;
  assert.deepEqual(watch.reported(), { kind: "failed", message: "the nodes cannot be listed: forbidden" });
  assert.equal(watch.isStarting(), false);
  const second = assert.rejects(iterate());
  await settle();
  assert.equal(watch.reported().kind, "found");
  abort.abort();
  await second;
});

const SIGNAL = new AbortController().signal;
/** A key that differs from that of the other requests. */
const OTHER: CsrOptions = { name: "csr-2", keyAlgorithm: "ecdsa-p384" };

function createWorld(
  { records, policies = [], addresses = new Map() }: {
    readonly records?: NodeCertificatesOptions["records"];
    readonly policies?: readonly Policy[];
    readonly addresses?: ReadonlyMap<string, string>;
  } = {},
) {
  const clock = createFakeClock("2026-06-01T00:00:00Z");
  const certificates = createNodeCertificates({ records, clock, logger: createMemoryLogger() });
  const events: string[] = [];
  const counted: string[] = [];
  const inventory = new Map([["n2", { dns: [], ips: [] }]]);
  const store = createMemoryObjectStore<CertificateSigningRequest>();
  let names: readonly string[] = [];
  const approver = createTestApprover({
    store,
    onDecided: certificates.put,
    sources: {
      clock,
      reviewer: { isAllowed: () => Promise.resolve(true) },
      certificates: certificates.list,
    },
    policies,
    inventory,
    certificates,
    findAddress: ({ metadata: { name = "" } }) => Promise.resolve(addresses.get(name)),
    events,
    onHeld: (reason) => counted.push(reason),
  });
  return {
    clock,
    certificates,
    approver,
    events,
    counted,
    inventory,
    /** Lists the requests that are decided. */
    list: (type: "Approved" | "Denied") =>
      names.filter((name) => store.peek(name).status.conditions?.[0]?.type === type),
    getMessage: (name: string) => store.peek(name).status.conditions?.[0]?.message,
    /** Checks a request, which is created if it does not exist. */
    async check(csr: CertificateSigningRequest): Promise<Outcome> {
      const name = csr.metadata.name ?? "";
      if (!names.includes(name)) store.put(csr);
      names = [...new Set([...names, name])];
      return await approver.reconcile(name, store.peek(name), SIGNAL);
    },
    delete: (name: string) => approver.reconcile(name, undefined, SIGNAL),
  };
}

async function putIssued(certificates: NodeCertificates, until = "2027-01-01"): Promise<CertificateSigningRequest> {
  const pem = await issueClientCertificate(await createSigningCa(), new Date("2026-01-01"), new Date(until));
  const csr = await buildCsr({ conditions: [condition("Approved")], certificate: encodeBase64(pem) });
  certificates.put(csr);
  return csr;
}

test("createApprover() approves a request that nothing holds", async () => {
  const { check, list, events } = createWorld();
  assert.deepEqual(await check(await buildCsr()), DONE);
  assert.deepEqual(await check(await buildCsr({ name: "web", signerName: "example.com/web" })), DONE);
  assert.deepEqual([list("Approved"), events], [["csr-1"], []]);
});

test("createApprover() holds a claimed name, reports it once, and checks it again less and less often", async () => {
  const { check, certificates, list, events, counted, clock } = createWorld();
  await putIssued(certificates, "2026-06-02");
  const csr = await buildCsr(OTHER);
  const outcomes: Outcome[] = [];
  for (let checks = 0; checks < 8; checks++) outcomes.push(await check(csr));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.kind === "requeueAfter" && outcome.ms),
    [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000],
  );
  assert.deepEqual(events, [
    "Warning NameClaimed: Left pending: n1 already has a certificate until 2026-06-02T00:00:00Z; another machine may " +
    "be claiming its name. Find out which machine sent the request; if it is n1 itself with a new key, approve it by " +
    "hand: tlsboot approve csr-2; otherwise deny it",
  ]);
  assert.deepEqual([counted, list("Approved")], [["NameClaimed"], []]);
  clock.set(Date.parse("2026-06-02T00:00:00Z"));
  assert.deepEqual(await check(csr), DONE);
  assert.deepEqual(list("Approved"), ["csr-2"]);
});

test("createApprover() holds machines that the inventory lacks until they are added", async () => {
  const { check, events, counted, inventory, list } = createWorld({ policies: [INVENTORY_ONLY] });
  const csr = await buildCsr();
  await check(csr);
  assert.deepEqual(counted, ["NotInInventory"]);
  assert.match(
    events[0] ?? "",
    /^Warning NotInInventory: Left pending: machine n1 is not in the inventory\. If it is /,
  );
  inventory.set("n1", { dns: [], ips: [] });
  await check(csr);
  assert.deepEqual(list("Approved"), ["csr-1"]);
});

test("createApprover() denies further requests for a claimed name, until those that are held are decided", async () => {
  const names = ["a1", "a2", "a3", "a4", "b1"];
  const addresses = new Map(names.map((name) => [name, name.startsWith("a") ? "10.0.0.9" : "10.0.0.1"]));
  const world = createWorld({ addresses });
  const { check, certificates, list, events } = world;
  await putIssued(certificates);
  for (const name of names) await check(await buildCsr({ ...OTHER, name }));
  await check(await buildCsr({ ...OTHER, name: "a1" }));
  const denied =
    "3 requests for node n1 from 10.0.0.9 are already held for a person: request it again when they are decided";
  assert.deepEqual([list("Approved"), list("Denied"), world.getMessage("a4")], [[], ["a4"], denied]);
  assert.ok(
    !events.some((event) => event.includes("TooManyHeldRequests")),
    "machines that share a token share its Events",
  );
  await world.delete("a2");
  await check(await buildCsr({ ...OTHER, name: "a5" }));
  assert.deepEqual(list("Denied"), ["a4"], "the address of a5 is not known");
});

test("createApprover() approves one of two requests for the same name", async () => {
  const { check, list, counted } = createWorld();
  await Promise.all([await buildCsr(), await buildCsr(OTHER)].map(check));
  assert.deepEqual([list("Approved"), list("Denied"), counted], [["csr-1"], [], ["NameClaimed"]]);
});

test("createNodeCertificates() keeps a certificate when its request is deleted, but not an approval without one", async () => {
  const { certificates, check, list } = createWorld();
  certificates.put(await buildCsr({ conditions: [condition("Approved")] }));
  certificates.remove("csr-1");
  await check(await buildCsr(OTHER));
  assert.deepEqual(list("Approved"), ["csr-2"]);
  await putIssued(certificates);
  certificates.remove("csr-1");
  await check(await buildCsr({ ...OTHER, name: "csr-3", keyAlgorithm: "rsa-2048" }));
  assert.deepEqual(list("Approved"), ["csr-2"]);
});

/** A source of records, which a test sends one after the other. */
function createRecords() {
  const changes: ObjectChange<IssuedCertificate>[] = [];
  let failure: AppError | undefined;
  let wake = Promise.withResolvers<void>();
  const records: NodeCertificatesOptions["records"] = (onFailure) => ({
    async *changes(signal) {
      while (!signal.aborted) {
        if (failure !== undefined) onFailure(failure);
        yield* changes.splice(0);
        await wake.promise;
        wake = Promise.withResolvers();
      }
    },
  });
  return {
    records,
    send(...next: readonly ObjectChange<IssuedCertificate>[]) {
      changes.push(...next);
      wake.resolve();
    },
    fail(error: AppError) {
      failure = error;
      wake.resolve();
    },
  };
}

function createRecord(edit: Partial<IssuedCertificate> = {}): IssuedCertificate {
  return {
    metadata: { name: "0000000001" },
    spec: {
      sequence: 1,
      subject: "CN=system:node:n1,O=system:nodes",
      publicKeyFingerprint: "another key",
      fingerprint: "f",
      notBefore: "2026-01-01T00:00:00Z",
      notAfter: "2027-01-01T00:00:00Z",
      issuedAt: null,
    },
    status: {},
    ...edit,
  };
}

test("createApprover() waits for the register, holds requests because of its records, and checks again when one is revoked", async () => {
  const { records, send } = createRecords();
  const { check, approver, list, counted } = createWorld({ records });
  const csr = await buildCsr();
  assert.deepEqual(await check(csr), { kind: "requeueAfter", ms: 250 });
  const released: string[] = [];
  const abort = new AbortController();
  const trigger = approver.triggers.at(-1);
  const following = (async () => {
    for await (const change of trigger!.changes(abort.signal)) {
      if (change.kind !== "synced") released.push(...[trigger!.nameFor(change.object, new Set())].flat());
    }
  })();
  send({ kind: "changed", object: createRecord() }, { kind: "synced" });
  await settle();
  assert.equal((await check(csr)).kind, "requeueAfter");
  assert.deepEqual([counted, released], [["NameClaimed"], []]);
  const revocation = { name: "node:n1", reason: "keyCompromise", time: null };
  send({ kind: "changed", object: createRecord({ status: { revocation } }) });
  await settle();
  assert.deepEqual(released, ["csr-1"]);
  assert.deepEqual(await check(csr), DONE);
  assert.deepEqual(list("Approved"), ["csr-1"]);
  abort.abort();
  send();
  await following.catch(() => {});
});

for (const code of ["not_found", "access_denied"] as const) {
  test(`createNodeCertificates() uses the requests that it saw where the register is ${code}`, async () => {
    const { records, fail } = createRecords();
    const { check, approver, certificates, list, counted } = createWorld({ records });
    const abort = new AbortController();
    fail(new AppError(code, "no such resource"));
    const changes = approver.triggers.at(-1)!.changes(abort.signal)[Symbol.asyncIterator]();
    assert.deepEqual((await changes.next()).value, { kind: "synced" });
    assert.deepEqual(await check(await buildCsr()), DONE);
    await putIssued(certificates);
    await check(await buildCsr(OTHER));
    assert.deepEqual([list("Approved"), counted], [["csr-1"], ["NameClaimed"]]);
    abort.abort();
  });
}

test("createNodeCertificates() prefers a register in the same process", async () => {
  const clock = createFakeClock("2026-06-01T00:00:00Z");
  let newest = readRecordedNodeCertificate(createRecord());
  const certificates = createNodeCertificates({
    records: undefined,
    findRecorded: (node) => Promise.resolve(node === "n1" && newest !== undefined ? [newest] : []),
    clock,
  });
  await putIssued(certificates);
  const list = async () => {
    const found = await certificates.list("n1", "");
    return found.kind === "found" ? found.value.map(({ fingerprint }) => fingerprint) : found;
  };
  // The certificate of that request may be revoked by now, which only the register knows.
  assert.deepEqual(await list(), ["f"]);
  newest = undefined;
  assert.deepEqual(await list(), []);
  certificates.put(await buildCsr({ ...OTHER, conditions: [condition("Approved")] }));
  assert.deepEqual(await list(), [undefined]);
});
