import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { createMemoryStorage } from "../storage/memory/memory_storage.ts";
import type { Storage } from "../storage/storage.ts";
import { RegisterIndex } from "../register/index.ts";
import { IssuedCertificates } from "./issued_certificates.ts";
import { createMetricsRegistry } from "./registry.ts";
import { followRequests } from "./signing_requests.ts";

const OWN = "example.com/own";
const DAY_MS = 86_400_000;

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
  assert.equal(await waiting("signature", "1m"), 0, "a signature is waited for from the approval on");
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
