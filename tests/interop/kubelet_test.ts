/** An unmodified kubelet 1.37 with `rotateCertificates: false` gets its certificate from `up`. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { test } from "node:test";
import { succeedTlsboot } from "../support/child.ts";
import { startKubelet } from "../support/interop/kubelet.ts";
import { waitForCsr } from "../support/interop/kubectl.ts";
import { assertNodePair, readMode } from "../support/interop/openssl.ts";
import { startInstance } from "../support/interop/instance.ts";

test("kubelet gets its certificate by automatic approval, and its kubeconfig works", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  await using kubelet = await startKubelet(instance.folder, "n1", instance.bootstrapKubeconfig);
  await kubelet.running.finished();
  await assertNodePair(instance.caPath, kubelet.currentPair, "n1");
  assert.equal(await readMode(kubelet.kubeconfig), 0o600);
  assert.equal((await readdir(kubelet.certDir)).some((name) => name.endsWith(".tmp")), false);
  const node = instance.kubectl.as(kubelet.kubeconfig);
  assert.match(await node.run("auth", "whoami"), /Username +system:node:n1\n/);
  assert.match(
    await instance.kubectl.run("get", "csr", "--no-headers"),
    /^node-csr-\S{43} .* system:bootstrap:[a-z0-9]{6} .* Approved,Issued\n$/,
  );
});

test("kubelet that lost its key is held with --auto-approve, and gets its certificate when a person approves the machine", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  {
    await using kubelet = await startKubelet(instance.folder, "n1", instance.bootstrapKubeconfig);
    await kubelet.running.finished();
    await rm(instance.folder.join("kubelet-n1"), { recursive: true });
  }
  await using kubelet = await startKubelet(instance.folder, "n1", instance.bootstrapKubeconfig);
  await instance.running.waitFor(/CSR held for a person.*n1 already has a certificate until/);
  const events = ["get", "events", "--namespace=default", "--field-selector=reason=NameClaimed"];
  assert.match(
    await instance.kubectl.run(...events, "--output=jsonpath={.items[*].message}"),
    /^Left pending: n1 already has a certificate until \S+; another machine may claim its name\. Find out which machine /,
  );
  await succeedTlsboot(["approve", "n1", "--yes", "--kubeconfig", instance.adminKubeconfig]);
  await kubelet.running.finished();
  await assertNodePair(instance.caPath, kubelet.currentPair, "n1");
});

test("kubelet waits for kubectl certificate approve, and then gets its certificate", async () => {
  await using instance = await startInstance();
  await using kubelet = await startKubelet(instance.folder, "n2", instance.bootstrapKubeconfig);
  const name = await waitForCsr(instance.kubectl, /node-csr-\S+/);
  assert.equal(existsSync(kubelet.kubeconfig), false);
  await instance.kubectl.run("certificate", "approve", name);
  await kubelet.running.finished();
  await assertNodePair(instance.caPath, kubelet.currentPair, "n2");
  assert.match(await instance.kubectl.as(kubelet.kubeconfig).run("auth", "whoami"), /Username +system:node:n2\n/);
});

test("kubelet ends with the reason after kubectl certificate deny", async () => {
  await using instance = await startInstance();
  await using kubelet = await startKubelet(instance.folder, "n3", instance.bootstrapKubeconfig);
  const name = await waitForCsr(instance.kubectl, /node-csr-\S+/);
  await instance.kubectl.run("certificate", "deny", name);
  const { code, stderr } = await kubelet.running.finished();
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /certificate signing request is denied, reason: KubectlDeny, message: This CSR was denied by kubectl certificate deny\./,
  );
  assert.equal(existsSync(kubelet.kubeconfig), false);
});
