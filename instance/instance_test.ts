import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createFilePort, type FilePort } from "../client/files.ts";
import { condition } from "../tests/support/csr_builder.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createInstanceDeps } from "../tests/support/instance_deps.ts";
import { eventually } from "../tests/support/eventually.ts";
import { createTempFolder } from "../tests/support/temp.ts";
import { createSystemClock } from "../cli/system.ts";
import { createApiClient } from "../client/objects/api.ts";
import { createConnector, readCluster } from "../client/transport/connect.ts";
import { AppError } from "../core/errors.ts";
import { parseKubeconfig } from "../core/kube/kubeconfig/kubeconfig.ts";
import type { Clock, Transport } from "../core/ports.ts";
import { createRevocation, type RevocationTarget } from "../core/revocation/revocation.ts";
import { readShownCertificate } from "../tests/support/shown_certificate.ts";
import { createDefaultRbacObjects, reconcileObjects } from "../server/bootstrap_objects.ts";
import { createMemoryStorage, type Storage } from "../server/mod.ts";
import { openSqliteStorage } from "../server/storage/sqlite/sqlite_storage.ts";
import { WriteRefusedError } from "../server/storage/storage.ts";
import { createTestApp } from "../tests/support/test_app.ts";
import { readSituation, startFullInstance } from "./full_instance.ts";
import { startInstance } from "./instance.ts";
import { initialBindings, ROOT_USER } from "./instance_rbac.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { RegisterIndex } from "../server/register/index.ts";
import { parseLeaf } from "./parts/register.ts";
import { isNewStorage } from "./storage/storage.ts";

const DAY_S = 86_400;

test("renew() of an instance logs certificates of an earlier run that were not renewed, and full disks", async () => {
  await using folder = await createTempFolder();
  const logger = createMemoryLogger();
  const clock = createFakeClock(createSystemClock().now());
  const now = Math.floor(clock.now().getTime() / 1000);
  await createFilePort().makeDirectory(folder.join("data"), 0o700);
  const lines = [
    { format: 1, writtenAt: now * 1000 },
    ["kubernetes.io/kubelet-serving", "CN=late", now - 95 * DAY_S, now + 5 * DAY_S],
    ["kubernetes.io/kubelet-serving", "CN=fresh", now, now + 100 * DAY_S],
  ];
  const path = folder.join("data/issued-certificates.jsonl");
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir: folder.join("data"), securePort: 0, storageMinFree: 1e12 },
    createInstanceDeps(folder.path, { clock, logger }),
    () => [],
  );
  const readWarnings = () => logger.entries.filter(({ level }) => level === "warn").map(({ message }) => message);
  assert.deepEqual(readWarnings(), ["a disk is almost full"]);
  await instance.renew();
  assert.deepEqual(readWarnings(), ["a disk is almost full", "a certificate is not renewed"]);
  assert.equal(logger.entries.find(({ message }) => message === readWarnings()[1])?.fields["subject"], "CN=late");
});

const inventory = (nodes: string) => `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes: [${nodes}]\n`;
const SSH = `SHA256:${"A".repeat(43)}`;

test("the shared token is created again only at the next start after the inventory has lost its proofs", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("machines.yaml");
  const settings = { dataDir: folder.join("data"), securePort: 0, autoApprove: true, inventory: path };
  const start = () =>
    startFullInstance(
      { ...DEFAULT_SETTINGS, ...settings },
      createInstanceDeps(folder.path),
      new AbortController().signal,
    );
  const hasToken = async () => await createFilePort().stat(folder.join("data/bootstrap.kubeconfig")) !== undefined;
  await writeFile(path, inventory(`{ name: n1, ssh: "${SSH}" }`));
  {
    await using instance = await start();
    assert.deepEqual(instance.listExpectedProofs(), ["ssh"]);
    await writeFile(path, inventory("{ name: n1 }"));
    await eventually("no proof", () => Promise.resolve(instance.listExpectedProofs().length === 0 || undefined));
    await instance.renew();
    assert.equal(await hasToken(), false);
  }
  await using instance = await start();
  assert.deepEqual(instance.listExpectedProofs(), []);
  assert.equal(await hasToken(), true);
});

/** A binding that only a first start creates. */
const NODE_BOOTSTRAPPER = "/registry/clusterrolebindings/tlsboot:node-bootstrapper";

async function readFirstObjects(storage: Pick<Storage, "get" | "list">) {
  const binding = await storage.get(NODE_BOOTSTRAPPER);
  return { hasBinding: binding !== undefined, isNew: await isNewStorage(storage) };
}

for (
  const { name, error, isRejected } of [
    { name: "is interrupted", error: new Error("no power"), isRejected: true },
    { name: "is refused by a full storage", error: new WriteRefusedError("full", "full"), isRejected: false },
  ]
) {
  test(`createApi() leaves a storage new when one of its first writes ${name}`, async () => {
    const clock = createFakeClock();
    const storage = createMemoryStorage({ clock });
    const create = storage.create.bind(storage);
    storage.create = (key, object) => key === NODE_BOOTSTRAPPER ? Promise.reject(error) : create(key, object);
    await using apps = new AsyncDisposableStack();
    const start = async () => void apps.use(await createTestApp({ clock, storage, objects: initialBindings() }));
    if (isRejected) await assert.rejects(start, error);
    else await start();
    assert.deepEqual(await readFirstObjects(storage), { hasBinding: false, isNew: true });
    storage.create = create;
    await start();
    assert.deepEqual(await readFirstObjects(storage), { hasBinding: true, isNew: false });
  });
}

test("startInstance() completes a first start that was interrupted, and creates no binding that was deleted since", async () => {
  await using folder = await createTempFolder();
  const deps = createInstanceDeps(folder.path, {});
  const settings = { ...DEFAULT_SETTINGS, dataDir: folder.join("data"), securePort: 0 };
  await createFilePort().makeDirectory(settings.dataDir, 0o700);
  {
    await using storage = await openSqliteStorage({ path: folder.join("data/tlsboot.db"), clock: deps.clock });
    await reconcileObjects({ ...deps, storage }, createDefaultRbacObjects());
  }
  const start = () => startInstance(settings, deps, (isNew) => isNew ? initialBindings() : []);
  {
    await using completed = await start();
    assert.deepEqual(await readFirstObjects(completed.storage), { hasBinding: true, isNew: false });
    const binding = await completed.storage.get(NODE_BOOTSTRAPPER);
    await completed.storage.delete(NODE_BOOTSTRAPPER, binding!.revision);
  }
  await using next = await start();
  assert.deepEqual(await readFirstObjects(next.storage), { hasBinding: false, isNew: false });
});

test("readSituation() finds the pending requests, without failed ones", async () => {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  for (const type of ["Approved", "Denied", "Failed", undefined] as const) {
    const name = type ?? "new";
    const object = { metadata: { name }, status: { conditions: type === undefined ? [] : [condition(type)] } };
    await storage.create(`/registry/certificatesigningrequests/${name}`, object);
  }
  const register = { index: new RegisterIndex() };
  assert.deepEqual(await readSituation({ storage, register }), { pending: ["new"], hasMachines: false });
});

const NEVER = new AbortController().signal;
const MOST_OF_A_YEAR_MS = 300 * 86_400_000;

test("renew() serves a pair that an earlier renewal wrote before it failed", async () => {
  await using folder = await createTempFolder();
  const [system, real] = [createSystemClock(), createFilePort()];
  let [aheadMs, isFailing] = [0, false];
  const clock: Clock = { ...system, now: () => new Date(system.now().getTime() + aheadMs) };
  const files: FilePort = {
    ...real,
    async writeAtomic(path, text, mode) {
      await real.writeAtomic(path, text, mode);
      if (isFailing && path.endsWith("apiserver.crt")) throw new AppError("io", `cannot write "${path}": EIO, fsync`);
    },
  };
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir: folder.join("data"), securePort: 0 },
    createInstanceDeps(folder.path, { files, clock }),
    () => [],
  );
  const before = await readShownCertificate(instance.server.port);
  [aheadMs, isFailing] = [MOST_OF_A_YEAR_MS, true];
  await assert.rejects(instance.renew(), { code: "io" });
  assert.equal(await readShownCertificate(instance.server.port), before);
  isFailing = false;
  await instance.renew();
  const pem = await readFile(folder.join("data/pki/apiserver.crt"), "utf8");
  const written = pem.replaceAll(/-----[^-]+-----|\s/g, "");
  assert.notEqual(written, before);
  assert.equal(await readShownCertificate(instance.server.port), written);
});

test("renew() replaces admin.kubeconfig when its certificate was revoked by its serial number", async () => {
  await using folder = await createTempFolder();
  const deps = createInstanceDeps(folder.path, {});
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir: folder.join("data"), securePort: 0 },
    deps,
    () => [],
  );
  const connect = createConnector({ files: createFilePort(), clock: deps.clock, userAgent: "test" });
  const openAdmin = async () => await connect(await readCluster(instance.dir.adminKubeconfig, createFilePort()));
  const readSerial = async (): Promise<string> => {
    const config = parseKubeconfig(await readFile(instance.dir.adminKubeconfig, "utf8"), "admin.kubeconfig");
    assert.ok(config.ok);
    return parseLeaf(config.value.users[0]?.user.clientCertificateData ?? "").serialNumber;
  };
  const post = async (transport: Transport, target: RevocationTarget): Promise<void> => {
    const body = createRevocation(target, { reason: "keyCompromise" });
    const api = createApiClient(transport, deps);
    await api.requestJson({ method: "POST", path: "/apis/tlsboot/v1alpha1/revocations", body }, NEVER);
  };
  const revoke = async (target: RevocationTarget): Promise<void> => {
    await using transport = await openAdmin();
    await post(transport, target);
  };
  const first = await readSerial();
  await revoke({ kind: "serial", value: first });
  await assert.rejects(revoke({ kind: "user", value: "alice" }), { code: "unauthorized" });
  await instance.renew();
  assert.notEqual(await readSerial(), first);
  await revoke({ kind: "user", value: "alice" });
  const second = await readSerial();
  await post(instance.server.transportFor(ROOT_USER, "test"), { kind: "user", value: "kubernetes-admin" });
  await instance.renew();
  assert.equal(await readSerial(), second, "a new certificate of a revoked user would be refused too");
});
