import assert from "node:assert/strict";
import { test } from "node:test";
import { type Inventory, parseInventory } from "../../core/approval/evidence/inventory.ts";
import { AppError } from "../../core/errors.ts";
import { err } from "../../core/lib/result.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import type { PublicKeyPin } from "../../core/pki/keys/key_names.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createInstanceDeps } from "../../tests/support/instance_deps.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { dataDirAt } from "../data_dir.ts";
import { openAttestation, openSealingKey } from "./attestation.ts";

const dir = dataDirAt("/data");
const PIN = `sha256:${"a".repeat(64)}`;

function readNodes(nodes: string): Inventory {
  const inventory = parseInventory(`apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [${nodes}]\n`);
  assert.ok(inventory.ok);
  return inventory.value;
}

const NAMES = readNodes("{ name: n1 }");
const PROOFS = readNodes(`{ name: n1, tpm: "${PIN}", pcrs: { 9: "${"b".repeat(64)}" } }, { name: n2 }`);

/** An exchange whose inventory the test changes. */
async function open(
  first: Inventory | undefined,
  { isShared = false, files = createMemoryFiles(), settings = {} } = {},
) {
  const [clock, logger] = [createFakeClock(), createMemoryLogger()];
  const place = { inventory: first ?? NAMES };
  const inventory = first && { current: () => place.inventory, refresh: () => Promise.resolve() };
  const deps = createInstanceDeps("/", { files, clock, logger });
  const openKey = () => openSealingKey(dir, isShared, deps);
  const attestation = await openAttestation(
    { anonymousAuth: true, enableBootstrapTokenAuth: true, ...settings },
    { openKey, isShared, inventory, caHash: () => PIN as PublicKeyPin },
    deps,
  );
  return { attestation, place, files, clock, logger, storage: createMemoryStorage({ clock }) };
}

async function listRights({ storage }: Awaited<ReturnType<typeof open>>): Promise<readonly string[]> {
  const pages = await Promise.all(
    ["clusterroles", "clusterrolebindings"].map((one) => storage.list(`/registry/${one}/`)),
  );
  return pages.flatMap(({ items }) => items.map(({ key }) => key));
}

test("openAttestation() creates the sealing key when a proof is listed, and keeps it", async () => {
  const files = createMemoryFiles();
  const without = await open(NAMES, { files });
  assert.equal(without.attestation.options.expected().kinds.length, 0);
  assert.equal(files.text(dir.attestationKey), undefined);
  const first = await open(PROOFS, { files });
  assert.equal(files.mode(dir.attestationKey), 0o600);
  assert.match(files.text(dir.attestationKey) ?? "", /^# [^\n]+\n[A-Za-z0-9+/]{43}=\n$/);
  const again = await open(PROOFS, { files });
  const at = new Date();
  const derive = ({ attestation }: typeof first) => attestation.options.sealingKey("state", at);
  assert.deepEqual(derive(again), derive(first));
  const secret = (files.text(dir.attestationKey) ?? "").split("\n")[1] ?? "";
  assert.ok(secret !== "" && !JSON.stringify([first.logger.entries, again.logger.entries]).includes(secret));
});

test("openAttestation() reads the proofs in the inventory", async () => {
  const expected = (await open(PROOFS)).attestation.options.expected();
  assert.equal(expected.kinds.length > 0, true);
  assert.deepEqual(expected.pcrs, [0, 1, 2, 3, 4, 5, 6, 7, 9]);
  const find = (node: string) => expected.find(node as NodeName, undefined, new Date());
  const found = find("n1");
  assert.ok(found.ok && found.value.tpm === PIN);
  assert.deepEqual(find("n2"), err("the inventory lists no proof of this node"));
});

test("openAttestation() warns when it creates a key although other servers may have one", async () => {
  const { logger } = await open(PROOFS, { isShared: true });
  assert.equal(logger.entries.filter(({ level }) => level === "warn").length, 1);
});

for (const setting of ["anonymousAuth", "enableBootstrapTokenAuth"] as const) {
  test(`openAttestation() refuses proofs without ${setting}, and nothing else`, async () => {
    await open(NAMES, { settings: { [setting]: false } });
    await assert.rejects(
      open(PROOFS, { settings: { [setting]: false } }),
      new RegExp(`the setting ${setting} is false`),
    );
  });
}

test("openAttestation() refuses a key that is damaged or that others can read", async () => {
  const damaged = createMemoryFiles({ [dir.attestationKey]: "# comment\nAAAA\n" });
  await assert.rejects(open(PROOFS, { files: damaged }), { code: "key_invalid" });
});

test("follow() grants and removes the right as the inventory gains and loses its proofs", async () => {
  const opened = await open(NAMES);
  const stop = new AbortController();
  const following = opened.attestation.follow(opened.storage, stop.signal);
  await opened.clock.advance(1_000);
  assert.deepEqual(await listRights(opened), []);
  opened.place.inventory = PROOFS;
  await opened.clock.advance(1_000);
  assert.equal(opened.attestation.options.expected().kinds.length > 0, true);
  assert.deepEqual(await listRights(opened), [
    "/registry/clusterroles/tlsboot:node-attester",
    "/registry/clusterrolebindings/tlsboot:node-attester",
  ]);
  opened.place.inventory = NAMES;
  await opened.clock.advance(1_000);
  assert.equal(opened.attestation.options.expected().kinds.length, 0);
  assert.deepEqual(await listRights(opened), []);
  stop.abort();
  await following;
});

test("follow() tries again until the storage has accepted the right, and until it has removed it", async () => {
  const opened = await open(NAMES);
  const stop = new AbortController();
  const faults = new Set<string | symbol>();
  const storage = new Proxy(opened.storage, {
    get(target, name) {
      if (faults.delete(name)) return () => Promise.reject(new AppError("io", "the disk failed"));
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const following = opened.attestation.follow(storage, stop.signal);
  for (
    const { inventory, fault, want } of [
      { inventory: PROOFS, fault: "create", want: 2 },
      { inventory: NAMES, fault: "delete", want: 0 },
    ]
  ) {
    faults.add(fault);
    opened.place.inventory = inventory;
    await opened.clock.advance(1_000);
    assert.notEqual((await listRights(opened)).length, want);
    await opened.clock.advance(1_000);
    assert.equal((await listRights(opened)).length, want);
  }
  assert.equal(opened.logger.entries.filter(({ level }) => level === "error").length, 2);
  stop.abort();
  await following;
});

for (
  const { name, first, isShared, want } of [
    { name: "removes the right of an earlier start without an inventory", first: undefined, isShared: false, want: 0 },
    { name: "removes the right of an earlier start without proofs", first: NAMES, isShared: false, want: 0 },
    { name: "leaves the right that another server may use", first: undefined, isShared: true, want: 2 },
  ]
) {
  test(`follow() ${name}`, async () => {
    const opened = await open(first, { isShared });
    for (const { attestation, clock } of [await open(PROOFS, { isShared }), opened]) {
      const stop = new AbortController();
      const following = attestation.follow(opened.storage, stop.signal);
      await clock.advance(0);
      stop.abort();
      await following;
    }
    assert.equal((await listRights(opened)).length, want);
  });
}

test("follow() logs proofs that the settings do not let machines exchange, and continues", async () => {
  const opened = await open(NAMES, { settings: { anonymousAuth: false } });
  const stop = new AbortController();
  const following = opened.attestation.follow(opened.storage, stop.signal);
  opened.place.inventory = PROOFS;
  await opened.clock.advance(3_000);
  assert.equal(opened.attestation.options.expected().kinds.length, 0);
  assert.equal(opened.logger.entries.filter(({ level }) => level === "error").length, 1);
  stop.abort();
  await following;
});
