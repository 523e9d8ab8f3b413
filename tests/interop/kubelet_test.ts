/** An unmodified kubelet 1.37 with `rotateCertificates: false` gets its certificate from `up`. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { test } from "node:test";
import { succeedTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { startKubelet } from "../support/interop/kubelet.ts";
import { waitForCsr } from "../support/interop/kubectl.ts";
import { assertNodePair, readMode } from "../support/interop/openssl.ts";
import { startInstance } from "../support/interop/instance.ts";

test("a kubelet gets its certificate by automatic approval; after it has lost its key, a person must approve its request", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  {
    await using kubelet = await startKubelet(instance.folder, "n1", instance.bootstrapKubeconfig);
    await kubelet.running.finished();
    await assertNodePair(instance.caPath, kubelet.currentPair, "n1");
    assert.equal(await readMode(kubelet.kubeconfig), 0o600);
    assert.equal((await readdir(kubelet.certDir)).some((name) => name.endsWith(".tmp")), false);
    assert.match(
      await instance.kubectl.run("get", "csr", "--no-headers"),
      /^node-csr-\S{43} .* system:bootstrap:[a-z0-9]{6} .* Approved,Issued\n$/,
    );
    await rm(instance.folder.join("kubelet-n1"), { recursive: true });
  }
  await using kubelet = await startKubelet(instance.folder, "n1", instance.bootstrapKubeconfig);
  await instance.running.waitFor(/CSR held for a person.*n1 already has a certificate until/);
  const events = ["get", "events", "--namespace=default", "--field-selector=reason=NameClaimed"];
  // The event is recorded after the log line.
  assert.match(
    await eventually(
      "an event",
      async () => await instance.kubectl.run(...events, "--output=jsonpath={.items[*].message}") || undefined,
    ),
    /^Left pending: n1 already has a certificate until \S+; another machine may be claiming its name\. Find out which machine /,
  );
  await succeedTlsboot(["approve", "n1", "--yes", "--kubeconfig", instance.adminKubeconfig]);
  await kubelet.running.finished();
  await assertNodePair(instance.caPath, kubelet.currentPair, "n1");
});

test("a kubelet waits for kubectl: it gets its certificate after an approval, and exits with the reason after a denial", async () => {
  await using instance = await startInstance();
  const decide = async (node: string, decision: "approve" | "deny") => {
    await using kubelet = await startKubelet(instance.folder, node, instance.bootstrapKubeconfig);
    const name = await waitForCsr(instance.kubectl, /node-csr-\S+/);
    assert.equal(existsSync(kubelet.kubeconfig), false);
    await instance.kubectl.run("certificate", decision, name);
    const { code, stderr } = await kubelet.running.finished();
    await instance.kubectl.run("delete", "csr", name);
    return { kubelet, code, stderr };
  };
  const { kubelet } = await decide("n2", "approve");
  await assertNodePair(instance.caPath, kubelet.currentPair, "n2");
  assert.match(await instance.kubectl.as(kubelet.kubeconfig).run("auth", "whoami"), /Username +system:node:n2\n/);
  const denied = await decide("n3", "deny");
  assert.notEqual(denied.code, 0);
  assert.match(
    denied.stderr,
    /certificate signing request is denied, reason: KubectlDeny, message: This CSR was denied by kubectl certificate deny\./,
  );
  assert.equal(existsSync(denied.kubelet.kubeconfig), false);
});
