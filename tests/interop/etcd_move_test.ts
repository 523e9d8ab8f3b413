/** An instance moves from its database into an etcd and back, as docs/guides/backup.md does it: nothing but versions changes. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { spawnTlsbootToEnd, succeedTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { spawnInstance } from "../support/instance_process.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";
import { startApiserver } from "../support/interop/apiserver.ts";
import { startControllerManager } from "../support/interop/control_plane.ts";
import { CA_EXTENSIONS, csrManifest, makeCertificate } from "../support/interop/openssl.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import { everything, steady, untilFurnished, withoutVersions, writeSamples } from "../support/interop/everything.ts";
import { createKubectl, type Kubectl, waitForCertificate } from "../support/interop/kubectl.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { readRegister } from "../support/interop/register.ts";

let keys: TempFolder;
let seal: readonly string[];
let open: readonly string[];

const must = (...args: readonly string[]) => succeedTlsboot(args);

async function refused(want: RegExp, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await spawnTlsbootToEnd(args);
  assert.ok(code === 1 || code === 2, stderr);
  assert.match(stderr, want);
}

async function stop(instance: RunningInstance): Promise<void> {
  instance.running.kill("SIGTERM");
  assert.equal((await instance.running.finished()).code, 0, instance.running.stderr());
}

/** Reads the objects without what may differ: leases, and what a start makes anew. */
async function readState(kubectl: Kubectl): Promise<Record<string, string>> {
  const all = withoutVersions(steady(await everything(kubectl)));
  return Object.fromEntries(Object.entries(all).filter(([key]) => !/cluster-info|events /.test(key)));
}

/** Reads the register, of which the CA must have sealed what was there before the last stop. */
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

  test("an instance with a node moves into an etcd by TLS, where a kube-apiserver reads it, and back", async () => {
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
    // The node finds each server at the same address.
    const port = ["--secure-port", String(await findServerPort())];
    const n1 = folder.join("n1/kubeconfig");
    let state: Record<string, string>;
    let register: Awaited<ReturnType<typeof readRecords>>;
    {
      await using instance = await startInstance({ dataDir, args: [...port, "--auto-approve"] });
      const node = ["--kubeconfig", n1, "--cert-dir", folder.join("n1/pki"), "--hostname-override", "n1"];
      await must("bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, ...node);
      await writeSamples(instance.kubectl, "moved");
      await untilFurnished(instance.kubectl, "sample-moved");
      state = await readState(instance.kubectl);
      register = await readRecords(instance);
      await refused(/its objects are in its database\n.*omit --etcd-servers/, "serve", ...data, ...inEtcd);
      await stop(instance);
    }
    const first = folder.join("first.backup");
    await refused(/its objects are in its database/, "backup", first, ...data, ...inEtcd, ...seal);
    await must("backup", first, ...data, ...seal);
    await refused(/the folder is not empty/, "restore", first, ...data, ...inEtcd, ...open);
    const moved = await must("restore", first, ...data, ...inEtcd, ...open, "--force");
    assert.match(
      moved.stdout,
      /objects as of .*, in etcd below \/registry; .*\nthe previous folder is now .*replaced-/,
    );
    assert.ok(!existsSync(`${dataDir}/tlsboot.db`));
    assert.match(await readFile(`${dataDir}/etcd.yaml`, "utf8"), /^servers: \["https:/m);
    await refused(/its objects are in etcd, below "\/registry"\n.*hint: give --etcd-servers https:/, "serve", ...data);
    await refused(/its objects are in etcd, below "\/registry"/, "backup", folder.join("x"), ...data, ...seal);
    await refused(
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

      const place = await findServerPort();
      await using apiserver = await startApiserver(instance, etcd.urls[0]!, place, [
        ...[`--etcd-cafile=${at("ca.crt")}`, `--etcd-certfile=${at("etcd.crt")}`, `--etcd-keyfile=${at("etcd.key")}`],
      ]);
      const there = ["--server", `https://127.0.0.1:${place}`];
      // Leases are renewed meanwhile, so that the list as a whole may be newer.
      const listMaps = async (...server: readonly string[]) => {
        const raw = await instance.kubectl.run(...server, "get", "--raw", "/api/v1/namespaces/sample-moved/configmaps");
        return JSON.parse(raw).items;
      };
      assert.deepEqual(await listMaps(...there), await listMaps());
      await instance.kubectl.run(...there, "create", "deployment", "theirs", "--image=none");
      await instance.kubectl.run(...there, "create", "service", "clusterip", "theirs", "--tcp=80:8080");
      apiserver.kill("SIGTERM");
      await apiserver.finished();

      state = await readState(instance.kubectl);
      register = await readRecords(instance);
      assert.deepEqual(register.at(-1)?.request?.name, "renewed-in-etcd");
      const online = await must("backup", folder.join("online.backup"), ...data, ...inEtcd, ...seal);
      assert.match(online.stdout, /objects of etcd at revision \d+ and/);
      assert.match(online.stderr, /warning: not backed up, because tlsboot does not serve them: .*\bdeployments \(1\)/);
      await refused(/its server answers at https:/, "restore", first, ...data, ...open, "--force");
      await refused(
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
    const offline = await must("backup", second, ...data, ...inEtcd, ...seal);
    assert.match(offline.stderr, /\bdeployments \(1\)/);
    assert.doesNotMatch(offline.stderr, /fields that tlsboot does not know/, "services are whole");
    assert.match((await must("backup", second, "--verify", ...open)).stderr, /\bdeployments \(1\)/);
    const back = await must("restore", second, ...data, ...open, "--force");
    assert.match(back.stdout, /resource versions continue from 1000\d+\n/);
    assert.match(back.stderr, /warning: was not in the backup: .*\bdeployments \(1\)/);
    assert.ok(!existsSync(`${dataDir}/etcd.yaml`));

    await using instance = await startInstance({ dataDir, args: port });
    assert.deepEqual(await readState(instance.kubectl), state);
    assert.deepEqual(await readRecords(instance, register.length), register);
    const node = instance.kubectl.as(n1);
    assert.match(await node.run("auth", "whoami"), /system:node:n1/);
    await renew(node, "renewed-at-home");
  });

  test("a controller of Kubernetes that watches lists again by itself when versions begin anew in etcd", async () => {
    await using folder = await createTempFolder();
    await using etcd = await startEtcd();
    const inEtcd = ["--etcd-servers", etcd.urls[0]!];
    const port = ["--secure-port", String(await findServerPort())];
    const [backup, data] = [folder.join("instance.backup"), ["--data-dir", folder.join("data")]];
    {
      await using instance = await spawnInstance(folder, port, "serve");
      await instance.end("SIGTERM");
    }
    // Its versions are now beyond any that etcd will ever have.
    await must("backup", backup, ...data, ...seal);
    await must("restore", backup, ...data, ...open, "--force");
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
      await must("backup", backup, ...data, ...seal, "--force");
      const { stderr } = await must("restore", backup, ...data, ...inEtcd, ...open, "--force");
      assert.match(stderr, /warning: etcd's revisions continue below the old \d+: restart the clients/);
      instance = await spawnInstance(folder, [...port, ...inEtcd], "serve");
      await sign("after");
      assert.equal(signer.hasEnded(), false);
      // A watch without kubectl receives the same events.
      const path = `/api/v1/namespaces?watch=true&resourceVersion=${metadata.resourceVersion}`;
      assert.match(await kubectl.run("get", "--raw", path), /"code":410/);
    } finally {
      await instance[Symbol.asyncDispose]();
    }
  });
});
