import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { DAY_MS } from "../../core/lib/duration.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import { RegisterIndex } from "../register/index.ts";
import { followRequests, IssuedCertificates } from "./certificates.ts";
import { createMetricsRegistry } from "./registry.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createStored } from "../storage/stored.ts";

const OWN = "example.com/own";

async function setUp() {
  const clock = createFakeClock();
  const storage = createMemoryStorage({ clock });
  const registry = createMetricsRegistry();
  const ca = await createSigningCa();
  const revisions = new Map<string, number>();
  const start = clock.now();

  /** Stores a request, with a certificate for `days` days when given. */
  async function put(name: string, fields: Partial<CertificateSigningRequest["spec"]>, state: {
    readonly approved?: boolean;
    readonly days?: number;
  } = {}): Promise<void> {
    const base = await buildCsr({ name });
    const end = new Date(start.getTime() + (state.days ?? 0) * DAY_MS);
    const certificate = state.days === undefined
      ? {}
      : { certificate: Buffer.from(await issueClientCertificate(ca, start, end, name)).toString("base64") };
    const isApproved = state.approved === true || state.days !== undefined;
    const csr = {
      ...base,
      metadata: { ...base.metadata, creationTimestamp: start.toISOString() },
      spec: { ...base.spec, ...fields },
      status: {
        ...(isApproved ? { conditions: [condition("Approved", clock.now().toISOString())] } : {}),
        ...certificate,
      },
    };
    const key = `/registry/certificatesigningrequests/${name}`;
    const known = revisions.get(name);
    const stored = known === undefined ? await storage.create(key, csr) : await storage.update(key, csr, known);
    revisions.set(name, stored.revision);
  }

  const readMetric = async (name: string, ...labels: readonly string[]) => {
    const lines = (await registry.metrics()).split("\n").filter((line) => line.startsWith(`${name}{`));
    const found = lines.find((line) => labels.every((label) => line.includes(label)));
    return found === undefined ? undefined : Number(found.split(" ").at(-1));
  };
  const follow = (followed: Storage = storage) =>
    followRequests(followed, registry, clock, new IssuedCertificates(new RegisterIndex(), [OWN]));
  const remove = (name: string) =>
    storage.delete(`/registry/certificatesigningrequests/${name}`, revisions.get(name) ?? 0);
  return { clock, storage, put, remove, valueOf: readMetric, follow, start };
}

test("followRequests() counts certificates by signer, and unknown signers as other", async () => {
  const { put, follow, valueOf, storage } = await setUp();
  await using _ = storage;
  await put("before", { signerName: OWN }, { days: 1 });
  using _following = await follow();
  const name = "tlsboot_certificates_issued_total";
  assert.equal(await valueOf(name, OWN), 0);
  assert.equal(await valueOf(name, "kubernetes.io/kubelet-serving"), 0);
  await put("a", { signerName: OWN });
  await put("a", { signerName: OWN }, { days: 1 });
  await put("b", { signerName: "strange.io/x" }, { days: 1 });
  await put("c", { signerName: "kubernetes.io/kube-apiserver-client" }, { days: 1 });
  assert.equal(await valueOf(name, OWN), 1);
  assert.equal(await valueOf(name, '"other"'), 1);
  assert.equal(await valueOf(name, '"kubernetes.io/kube-apiserver-client"'), 1);
  assert.equal(await valueOf(name, "strange"), undefined);
});

test("followRequests() reports how many requests wait for an approval or a signature, and how long", async () => {
  const { put, follow, valueOf, storage, clock } = await setUp();
  await using _ = storage;
  using _following = await follow();
  await put("a", {});
  await put("b", {});
  const waiting = (wait: string, least: string) => valueOf("tlsboot_waiting_requests", `"${wait}"`, `"${least}"`);
  assert.deepEqual([await waiting("approval", "0s"), await waiting("approval", "5m")], [2, 0]);
  clock.jump(301_000);
  assert.deepEqual([await waiting("approval", "5m"), await waiting("approval", "1h")], [2, 0]);
  await put("a", {}, { approved: true });
  assert.deepEqual([await waiting("approval", "5m"), await waiting("signature", "0s")], [1, 1]);
  assert.equal(await waiting("signature", "1m"), 0, "the wait for a signature begins with the approval");
  await put("a", {}, { days: 1 });
  assert.equal(await waiting("signature", "0s"), 0);
});

test("followRequests() counts whether a requested duration was honored", async () => {
  const { put, follow, valueOf, storage } = await setUp();
  await using _ = storage;
  using _following = await follow();
  await put("honored", { signerName: OWN, expirationSeconds: 86_400 }, { days: 1 });
  await put("shortened", { signerName: OWN, expirationSeconds: 9 * 86_400 }, { days: 1 });
  await put("unasked", { signerName: OWN }, { days: 1 });
  const prefix = "apiserver_certificates_registry_csr";
  assert.equal(await valueOf(`${prefix}_requested_duration_total`, '"other"'), 2);
  assert.equal(await valueOf(`${prefix}_honored_duration_total`, '"other"'), 1);
});

const CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const START = 1_800_000_000;
const DAY = 86_400;

const at = (day: number) => new Date((START + day * DAY) * 1000);
interface Entry {
  readonly signerName: string;
  readonly subject: string;
  readonly from: number;
  readonly to: number;
}

const one = (subject: string, from: number, to: number, signerName = CLIENT): Entry => ({
  signerName,
  subject,
  from,
  to,
});

/** Creates a register of certificates, whose times are in days since the start. */
function holding(...entries: readonly Entry[]): IssuedCertificates {
  const index = new RegisterIndex();
  for (const [position, { signerName, subject, from, to }] of entries.entries()) {
    const [notBefore, notAfter] = [from, to].map((day) => at(day).toISOString());
    const spec = {
      sequence: position + 1,
      signerName,
      subject,
      notBefore: notBefore!,
      notAfter: notAfter!,
      issuedAt: null,
    };
    const object: IssuedCertificate = { metadata: { name: String(position) }, spec, status: {} };
    index.added(String(position), createStored("", object, 1) as Stored<IssuedCertificate>);
  }
  return new IssuedCertificates(index, ["own.example/a"]);
}

for (
  const { name, entries, day = 0, want } of [
    {
      name: "each certificate in every term in which it ends",
      entries: [one("a", 0, 5), one("b", 0, 60)],
      want: [[0, 0, 1, 1, 2, 2], 0],
    },
    { name: "a certificate that ends within a day", entries: [one("a", 0, 0.5)], want: [[0, 1, 1, 1, 1, 1], 0] },
    { name: "an overdue certificate", entries: [one("a", 0, 100)], day: 91, want: [[0, 0, 0, 1, 1, 1], 1] },
    {
      name: "a certificate that may still be renewed",
      entries: [one("a", 0, 100)],
      day: 89,
      want: [[0, 0, 0, 1, 1, 1], 0],
    },
    {
      name: "a renewed certificate once",
      entries: [one("a", 0, 100), one("a", 80, 180)],
      day: 91,
      want: [[0, 0, 0, 0, 1, 1], 0],
    },
    {
      name: "the newest certificate in any order, even if it ends earlier",
      entries: [one("a", 80, 85), one("a", 0, 100)],
      day: 81,
      want: [[0, 0, 1, 1, 1, 1], 0],
    },
    {
      name: "a renewal for its own subject only",
      entries: [one("a", 0, 100), one("b", 80, 180)],
      day: 91,
      want: [[0, 0, 0, 1, 2, 2], 1],
    },
    {
      name: "a renewal by its own signer only",
      entries: [one("a", 0, 100), one("a", 80, 180, SERVING)],
      day: 91,
      want: [[0, 0, 0, 1, 1, 1], 1],
    },
  ]
) {
  test(`IssuedCertificates counts ${name}`, () => {
    const summary = holding(...entries).summarize(at(day)).get(CLIENT);
    assert.deepEqual([summary?.within, summary?.overdue], want);
  });
}

test("IssuedCertificates does not count expired certificates, and reports their signers as zero", () => {
  const issued = holding(one("a", 0, 1), one("b", 0, 2), one("c", 0, 1, SERVING));
  const soonest = (day: number) => [...issued.summarize(at(day))].map(([, found]) => found.soonest);
  assert.deepEqual(soonest(0), [START + DAY, START + DAY]);
  assert.deepEqual(soonest(1), [START + 2 * DAY, Infinity]);
});

test("IssuedCertificates reports unknown signers as other, and counts them separately", () => {
  const issued = holding(one("a", 0, 100, "strange.io/a"), one("a", 90, 190, "strange.io/b"));
  assert.deepEqual([...issued.summarize(at(95)).keys()], ["other"]);
  assert.equal(issued.summarize(at(95)).get("other")?.overdue, 1);
  assert.equal(issued.getSignerLabel("own.example/a"), "own.example/a");
});

test("IssuedCertificates omits certificates without a signer", () => {
  const index = new RegisterIndex();
  const spec = { sequence: 1, source: "serving", notBefore: at(0).toISOString(), notAfter: at(9).toISOString() };
  index.added(
    "",
    createStored("", { metadata: {}, spec, status: {} } as IssuedCertificate, 1) as Stored<IssuedCertificate>,
  );
  assert.deepEqual([...new IssuedCertificates(index).summarize(at(1))], []);
});

test("IssuedCertificates reports each certificate once when it becomes overdue", () => {
  const issued = holding(one("a", 0, 100), one("b", 0, 200), one("ended", 0, 50));
  const reported = (from: number, to: number) =>
    [...issued.becameOverdue(at(from), at(to))].map(({ subject }) => subject);
  assert.deepEqual([reported(0, 89), reported(89, 95), reported(95, 99), reported(0, 185)], [[], ["a"], [], ["b"]]);
});
