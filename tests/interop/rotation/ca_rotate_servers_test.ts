/** Replaces the CA of two servers that share an etcd: step by step with a server that was down, and all at once. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { runProgram } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { startEtcd } from "../../support/interop/etcd.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { copyAuthority, startServers } from "../../support/interop/servers.ts";

async function rotate(instance: RunningInstance, code: number, ...args: readonly string[]): Promise<string> {
  const done = await instance.tlsboot("ca", "rotate", ...args, "--data-dir", instance.dataDir);
  assert.equal(done.code, code, `${args.join(" ")}: ${done.stdout}${done.stderr}`);
  return done.stdout + done.stderr;
}

/** Waits until a number of servers have adopted the first step. A server counts only once it has reported. */
async function untilTrusted(instance: RunningInstance, servers: number): Promise<void> {
  await eventually(`${servers} servers have adopted the first step`, async () => {
    const { stdout } = await instance.tlsboot("ca", "rotate", "status", "ca", "--data-dir", instance.dataDir);
    return new RegExp(`^Servers: +${servers} of ${servers} have adopted Trust$`, "m").test(stdout) || undefined;
  });
}

/** Copies the administrator's kubeconfig without the CA of the server, so that only the credential decides. */
async function copyAdmin(instance: RunningInstance): Promise<string> {
  const path = instance.folder.join("old.kubeconfig");
  const text = await readFile(instance.adminKubeconfig, "utf8");
  await writeFile(path, text.replace(/certificate-authority-data: .*/, "insecure-skip-tls-verify: true"));
  return path;
}

async function getIssuer(path: string): Promise<string> {
  return (await runProgram("openssl", ["x509", "-in", path, "-noout", "-issuer"])).stdout.trim();
}

test("ca rotate replaces the CA on both servers, and on a server that was down", async () => {
  await using etcd = await startEtcd();
  await using servers = await startServers([etcd.urls, etcd.urls], { args: ["--auto-approve"] });
  const [a, b] = servers.instances as [RunningInstance, RunningInstance];
  await rotate(a, 0, "begin");
  await untilTrusted(a, 2);
  // A third server starts with the old CA, and takes the new key from its Secret.
  const late = await copyAuthority(b, "late");
  await using c = await startInstance({ args: ["--auto-approve", "--etcd-servers", etcd.urls.join()], dataDir: late });
  await untilTrusted(b, 3);
  assert.match(await rotate(b, 0, "switch"), /^Servers: +3 of 3 have adopted Switch$/m);
  for (const instance of [a, b, c]) {
    assert.match(await getIssuer(`${instance.dataDir}/pki/apiserver.crt`), /tlsboot-ca-2$/);
    assert.match(await instance.kubectl.run("get", "--raw", "/healthz"), /^ok/);
  }
  assert.match(await rotate(a, 0, "finish"), /^Servers: +3 of 3 have adopted Finish$/m);
  for (const { kubectl } of [a, b, c]) assert.match(await kubectl.run("get", "--raw", "/healthz"), /^ok/);
});

test("both servers follow ca rotate now, even in the middle of a planned rotation", async () => {
  await using etcd = await startEtcd();
  await using servers = await startServers([etcd.urls, etcd.urls], { args: ["--auto-approve"] });
  const [a, b] = servers.instances as [RunningInstance, RunningInstance];
  await rotate(a, 0, "begin");
  await untilTrusted(a, 2);
  const old = await copyAdmin(b);
  assert.equal((await b.kubectl.as(old).try("get", "csr")).code, 0);
  const inventory = a.folder.join("inventory.yaml");
  await writeFile(inventory, "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n  - name: n1\n");
  const out = ["--inventory", inventory, "--out", a.folder.join("joins")];
  assert.match(await rotate(a, 0, "now", "--yes", ...out), /^Servers: +2 of 2 have adopted Finish$/m);
  for (const one of [a, b]) {
    const refused = await one.kubectl.as(old).try("get", "csr", "--server", one.server);
    assert.match(refused.stderr, /You must be logged in to the server/);
    assert.match(await one.kubectl.run("get", "--raw", "/healthz"), /^ok/);
  }
  const files = ["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki", "--hostname-override", "n1"];
  await a.succeed("bootstrap", "--bootstrap-kubeconfig", "joins/n1.kubeconfig", ...files);
});
