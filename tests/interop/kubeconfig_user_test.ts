/** `tlsboot kubeconfig user`, judged by openssl and kubectl, at our server and at Kubernetes' own. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { runTlsboot } from "../support/child.ts";
import { type Cluster, CLUSTERS } from "../support/interop/clusters.ts";
import { assertChain, assertKeyMatches, readMode, readSubject } from "../support/interop/openssl.ts";

/** Runs the command as the cluster's administrator; answers stderr. */
async function letIn({ folder, adminKubeconfig }: Cluster, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await runTlsboot(["kubeconfig", "user", "--kubeconfig", adminKubeconfig, ...args], {
    cwd: folder.path,
  });
  assert.equal(code, 0, stderr);
  return stderr;
}

/** Takes the certificate and the key out of a kubeconfig, by kubectl. */
async function takeOut(
  { folder, kubectl }: Cluster,
  kubeconfig: string,
): Promise<{ certificate: string; key: string }> {
  const paths = { certificate: folder.join("out.crt"), key: folder.join("out.key") };
  for (
    const [field, path] of [["client-certificate-data", paths.certificate], ["client-key-data", paths.key]] as const
  ) {
    const template = `--output=jsonpath={.users[0].user.${field}}`;
    const base64 = await kubectl.as(kubeconfig).run("config", "view", "--raw", template);
    await writeFile(path, atob(base64), { mode: 0o600 });
  }
  return paths;
}

for (const [name, start] of Object.entries(CLUSTERS)) {
  describe(name, () => testUsers(start));
}

/** The tests share one cluster, each with a person of its own. */
function testUsers(start: () => Promise<Cluster>): void {
  let cluster: Cluster;
  before(async () => void (cluster = await start()));
  after(() => cluster[Symbol.asyncDispose]());

  test(`tlsboot kubeconfig user gives a person access, and the printed rights work`, async () => {
    const { folder, kubectl, caPath } = cluster;
    const stderr = await letIn(cluster, "alice", "--group", "dev", "--ttl", "1h");
    const kubeconfig = folder.join("alice.kubeconfig");
    assert.equal(await readMode(kubeconfig), 0o600);
    const alice = kubectl.as(kubeconfig);
    const who = await alice.run("auth", "whoami");
    assert.match(who, /Username +alice\n/);
    assert.match(who, /Groups +\[dev system:authenticated\]/);
    const { certificate, key } = await takeOut(cluster, kubeconfig);
    await assertChain(caPath, certificate, "sslclient");
    await assertKeyMatches(certificate, key);
    assert.equal(await readSubject(certificate), "CN=alice,O=dev");

    assert.equal((await alice.try("auth", "can-i", "list", "configmaps")).stdout, "no\n");
    const [, line = ""] = /\n {2}kubectl --kubeconfig \S+ (create rolebinding .*)\n/.exec(stderr) ?? [];
    await kubectl.run(...line.split(" "));
    // kube-apiserver learns of a binding by a watch of its own.
    for (let tries = 0; (await alice.try("auth", "can-i", "list", "configmaps")).code !== 0; tries++) {
      assert.ok(tries < 50, "alice was never let do anything");
    }
    await alice.run("get", "configmaps");
    assert.match(
      await letIn(cluster, "alice", "--force"),
      /alice may, in the namespace default:\n {2}get, list, watch: /,
    );
  });

  test(`tlsboot kubeconfig user writes the same file as kubectl config`, async () => {
    const { folder, kubectl, caPath, server } = cluster;
    await letIn(cluster, "bob", "--cluster-name", "lab");
    const { certificate, key } = await takeOut(cluster, folder.join("bob.kubeconfig"));
    const config = folder.join("kubectl.kubeconfig");
    const set = (...args: readonly string[]) => kubectl.run("config", `--kubeconfig=${config}`, ...args);
    await set("set-cluster", "lab", `--server=${server}`, `--certificate-authority=${caPath}`, "--embed-certs=true");
    await set(
      ...["set-credentials", "bob", `--client-certificate=${certificate}`, `--client-key=${key}`, "--embed-certs=true"],
    );
    await set("set-context", "lab", "--cluster=lab", "--user=bob");
    await set("use-context", "lab");
    const theirs = await kubectl.as(config).run("config", "view", "--raw", "--output=json");
    const ours = await kubectl.as(folder.join("bob.kubeconfig")).run("config", "view", "--raw", "--output=json");
    assert.deepEqual(JSON.parse(ours), JSON.parse(theirs));
    assert.equal(await readFile(folder.join("bob.kubeconfig"), "utf8"), await readFile(config, "utf8"));
  });

  test(`tlsboot kubeconfig user waits for the approval by kubectl with --no-approve`, async () => {
    const asked = await letIn(cluster, "carol", "--no-approve");
    const [, request = ""] = /tlsboot approve (\S+)\n/.exec(asked) ?? [];
    assert.match(await cluster.kubectl.run("get", "csr", request), / 8h +Pending\n/);
    await cluster.kubectl.run("certificate", "approve", request);
    await letIn(cluster, "carol");
    assert.match(await cluster.kubectl.as(cluster.folder.join("carol.kubeconfig")).run("auth", "whoami"), /carol\n/);
    const requests = (await cluster.kubectl.run("get", "csr", "--output=name")).trim().split("\n");
    assert.equal(requests.filter((name) => name.includes("/carol-")).length, 1, requests.join(" "));
  });
}
