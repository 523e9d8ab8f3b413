/**
 * Moves an instance from its database into an etcd and back, as in docs/guides/backup.md: only versions change.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { spawnTlsbootToEnd, succeedTlsboot } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { spawnInstance } from "../../support/instance_process.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../../support/temp.ts";
import { startApiserver } from "../../support/interop/apiserver.ts";
import { startControllerManager } from "../../support/interop/control_plane.ts";
import { CA_EXTENSIONS, csrManifest, makeCertificate } from "../../support/interop/openssl.ts";
import { startEtcd } from "../../support/interop/etcd.ts";
import {
  readAllObjects,
  waitForNamespace,
  withoutRenewedLeases,
  withoutResourceVersions,
  writeSamples,
} from "../../support/interop/all_objects.ts";
import { createKubectl, type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { readRegister } from "../../support/interop/register.ts";

let keys: TempFolder;
let seal: readonly string[];
let open: readonly string[];

const succeed = (...args: readonly string[]) => succeedTlsboot(args);

async function assertRefused(want: RegExp, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await spawnTlsbootToEnd(args);
  assert.ok(code === 1 || code === 2, stderr);
  assert.match(stderr, want);
}

async function stop(instance: RunningInstance): Promise<void> {
  instance.running.kill("SIGTERM");
  assert.equal((await instance.running.finished()).code, 0, instance.running.stderr());
}

/** Reads the objects, except leases and those that every start recreates. */
async function readState(kubectl: Kubectl): Promise<Record<string, string>> {
  const all = withoutResourceVersions(withoutRenewedLeases(await readAllObjects(kubectl)));
  return Object.fromEntries(Object.entries(all).filter(([key]) => !/cluster-info|events /.test(key)));
}

/** Reads the register, of which the CA must have sealed the first `before` records. */
async function readRecords({ kubectl, caPath }: RunningInstance, before = 0) {
  const { items, sealedUpTo } = await readRegister(kubectl, caPath);
  assert.ok(Number(sealedUpTo?.name ?? 0) >= before, sealedUpTo?.name);
  return items.map(({ spec }) => spec);
}

/** Requests the next certificate of a node with its current one. */
async function renew(node: Kubectl, name: string): Promise<void> {
  const spec = {
    signerName: "kubernetes.io/kube-apiserver-client-kubelet",
    usages: ["digital signature", "client auth"],
  };
  const manifest = await csrManifest(name, { subject: "/O=system:nodes/CN=system:node:n1", spec });
  await node.create(manifest);
  await eventually(
    "the renewal is signed",
    async () => (await node.run("get", "csr", name, "--output=jsonpath={.status.certificate}")) !== "" || undefined,
  );
}

describe("moves into an etcd", () => {
  before(async () => {
    keys = await createTempFolder();
    const identity = await generateX25519Identity();
    await writeFile(keys.join("key.txt"), `${identity}\n`, { mode: 0o600 });
    seal = ["--recipient", await identityToRecipient(identity)];
    open = ["--identity", keys.join("key.txt")];
  });

  after(() => keys[Symbol.asyncDispose]());

  test("an instance with a node moves into an etcd with TLS, where a kube-apiserver reads its objects, and back", async () => {
    await using folder = await createTempFolder();
    await makeCertificate(folder, { name: "ca", extensions: CA_EXTENSIONS });
    const both = "extendedKeyUsage=serverAuth,clientAuth";
    await makeCertificate(folder, { name: "etcd", issuer: "ca", extensions: ["subjectAltName=IP:127.0.0.1", both] });
    const at = (name: string) => folder.join(name);
    await using etcd = await startEtcd({
      isTls: true,
      flags: ["--cert-file", at("etcd.crt"), "--key-file", at("etcd.key"), "--client-cert-auth"]
        .concat("--trusted-ca-file", at("ca.crt")),
    });
    const inEtcd = [
      ...["--etcd-servers", etcd.urls[0]!, "--etcd-cafile", at("ca.crt")],
      ...["--etcd-certfile", at("etcd.crt"), "--etcd-keyfile", at("etcd.key")],
    ];
    const dataDir = folder.join("instance");
    const data = ["--data-dir", dataDir];
    // All servers have the same address, so that the node finds them.
    const port = ["--secure-port", String(await findServerPort())];
    const n1 = folder.join("n1/kubeconfig");
    let state: Record<string, string>;
    let register: Awaited<ReturnType<typeof readRecords>>;
    {
      await using instance = await startInstance({ dataDir, args: [...port, "--auto-approve"] });
      const node = ["--kubeconfig", n1, "--cert-dir", folder.join("n1/pki"), "--hostname-override", "n1"];
      await succeed("bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, ...node);
      await writeSamples(instance.kubectl, "moved");
      await waitForNamespace(instance.kubectl, "sample-moved");
      state = await readState(instance.kubectl);
      register = await readRecords(instance);
      await assertRefused(/its objects are in its database\n.*omit --etcd-servers/, "serve", ...data, ...inEtcd);
      await stop(instance);
    }
    const first = folder.join("first.backup");
    await assertRefused(/its objects are in its database/, "backup", first, ...data, ...inEtcd, ...seal);
    await succeed("backup", first, ...data, ...seal);
    await assertRefused(/the folder is not empty/, "restore", first, ...data, ...inEtcd, ...open);
    const moved = await succeed("restore", first, ...data, ...inEtcd, ...open, "--force");
    assert.match(
      moved.stdout,
      /objects as of .*, in etcd below \/registry; .*\nthe previous folder is now .*replaced-/,
    );
    assert.ok(!existsSync(`${dataDir}/tlsboot.db`));
    assert.match(await readFile(`${dataDir}/etcd.yaml`, "utf8"), /^servers: \["https:/m);
    await assertRefused(
      /its objects are in etcd, below "\/registry"\n.*hint: give --etcd-servers https:/,
      "serve",
      ...data,
    );
    await assertRefused(/its objects are in etcd, below "\/registry"/, "backup", folder.join("x"), ...data, ...seal);
    await assertRefused(
      /are below "\/registry" in etcd, not "\/other"/,
      "serve",
      ...data,
      ...inEtcd,
      "--etcd-prefix",
      "other/",
    );

    const second = folder.join("second.backup");
    {
      await using instance = await startInstance({ dataDir, args: [...port, ...inEtcd] });
      assert.deepEqual(await readState(instance.kubectl), state);
      assert.deepEqual(await readRecords(instance, register.length), register);
      const node = instance.kubectl.as(n1);
      assert.match(await node.run("auth", "whoami"), /system:node:n1/);
      await renew(node, "renewed-in-etcd");

      const apiserverPort = await findServerPort();
      await using apiserver = await startApiserver(instance, etcd.urls[0]!, apiserverPort, [
        ...[`--etcd-cafile=${at("ca.crt")}`, `--etcd-certfile=${at("etcd.crt")}`, `--etcd-keyfile=${at("etcd.key")}`],
      ]);
      const atApiserver = ["--server", `https://127.0.0.1:${apiserverPort}`];
      // Leases are renewed meanwhile, so the revision of the list may differ.
      const listMaps = async (...server: readonly string[]) => {
        const raw = await instance.kubectl.run(...server, "get", "--raw", "/api/v1/namespaces/sample-moved/configmaps");
        return JSON.parse(raw).items;
      };
      assert.deepEqual(await listMaps(...atApiserver), await listMaps());
      await instance.kubectl.run(...atApiserver, "create", "deployment", "theirs", "--image=none");
      await instance.kubectl.run(...atApiserver, "create", "service", "clusterip", "theirs", "--tcp=80:8080");
      apiserver.kill("SIGTERM");
      await apiserver.finished();

      state = await readState(instance.kubectl);
      register = await readRecords(instance);
      assert.deepEqual(register.at(-1)?.request?.name, "renewed-in-etcd");
      const online = await succeed("backup", folder.join("online.backup"), ...data, ...inEtcd, ...seal);
      assert.match(online.stdout, /objects of etcd at revision \d+ and/);
      assert.match(online.stderr, /warning: not backed up, because tlsboot does not serve them: .*\bdeployments \(1\)/);
      await assertRefused(/its server answers at https:/, "restore", first, ...data, ...open, "--force");
      await assertRefused(
        /cannot restore below "\/registry" in etcd: there are already keys/,
        "restore",
        first,
        "--data-dir",
        at("y"),
        ...inEtcd,
        ...open,
      );
      await stop(instance);
    }
    const offline = await succeed("backup", second, ...data, ...inEtcd, ...seal);
    assert.match(offline.stderr, /\bdeployments \(1\)/);
    assert.doesNotMatch(offline.stderr, /fields that tlsboot does not know/, "a Service lost fields");
    assert.match((await succeed("backup", second, "--verify", ...open)).stderr, /\bdeployments \(1\)/);
    const restored = await succeed("restore", second, ...data, ...open, "--force");
    assert.match(restored.stdout, /resource versions continue from 1000\d+\n/);
    assert.match(restored.stderr, /warning: the backup does not have: .*\bdeployments \(1\)/);
    assert.ok(!existsSync(`${dataDir}/etcd.yaml`));

    await using instance = await startInstance({ dataDir, args: port });
    assert.deepEqual(await readState(instance.kubectl), state);
    assert.deepEqual(await readRecords(instance, register.length), register);
    const node = instance.kubectl.as(n1);
    assert.match(await node.run("auth", "whoami"), /system:node:n1/);
    await renew(node, "renewed-at-home");
  });

  test("a Kubernetes controller lists again by itself when versions start over in etcd", async () => {
    await using folder = await createTempFolder();
    await using etcd = await startEtcd();
    const inEtcd = ["--etcd-servers", etcd.urls[0]!];
    const port = ["--secure-port", String(await findServerPort())];
    const [backup, data] = [folder.join("instance.backup"), ["--data-dir", folder.join("data")]];
    {
      await using instance = await spawnInstance(folder, port, "serve");
      await instance.end("SIGTERM");
    }
    // A restore makes the versions higher than any that etcd will have.
    await succeed("backup", backup, ...data, ...seal);
    await succeed("restore", backup, ...data, ...open, "--force");
    const kubectl = createKubectl(folder, folder.join("data/admin.kubeconfig"));
    const sign = async (name: string) => {
      await kubectl.create(await csrManifest(name));
      await kubectl.run("certificate", "approve", name);
      await waitForCertificate(kubectl, name);
    };
    let instance = await spawnInstance(folder, port, "serve");
    try {
      const pki = folder.join("data/pki");
      await using signer = startControllerManager(
        folder.join("data/admin.kubeconfig"),
        ["certificatesigningrequest-signing-controller"],
        [`--cluster-signing-cert-file=${pki}/ca.crt`, `--cluster-signing-key-file=${pki}/ca.key`],
      );
      await sign("before");
      const { metadata } = JSON.parse(await kubectl.run("get", "csr", "before", "--output=json"));
      assert.ok(Number(metadata.resourceVersion) > 1_000_000_000);
      await instance.end("SIGTERM");
      await succeed("backup", backup, ...data, ...seal, "--force");
      const { stderr } = await succeed("restore", backup, ...data, ...inEtcd, ...open, "--force");
      assert.match(stderr, /warning: etcd's revisions continue below the old \d+: restart the clients/);
      instance = await spawnInstance(folder, [...port, ...inEtcd], "serve");
      await sign("after");
      assert.equal(signer.hasEnded(), false);
      // A raw watch from the old version is refused.
      const path = `/api/v1/namespaces?watch=true&resourceVersion=${metadata.resourceVersion}`;
      assert.match(await kubectl.run("get", "--raw", path), /"code":410/);
    } finally {
      await instance[Symbol.asyncDispose]();
    }
  });
});
