/** The classic walkthrough of TLS bootstrapping, word for word, with stock kubectl against `up --token-auth-file`. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { KUBERNETES_RELEASES } from "../support/peers/go.ts";
import { waitForCsr } from "../support/interop/kubectl.ts";
import { assertNodePair, readMode } from "../support/interop/openssl.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";

const TOKEN = "02b50b05283e98dd0fd71db496ef01e8";
const GRANT = [
  ...["create", "clusterrolebinding", "kubelet-bootstrap"],
  ...["--clusterrole=system:node-bootstrapper", "--group=system:bootstrappers"],
];

async function startWalkthrough(kubectlRelease?: string): Promise<RunningInstance> {
  const tokens = [`${TOKEN},kubelet-bootstrap,10001,"system:bootstrappers"`];
  const instance = await startInstance({ tokens, kubectlRelease });
  const config = (...args: string[]) => instance.kubectl.run("config", ...args, "--kubeconfig=bootstrap.kubeconfig");
  await config(
    "set-cluster",
    "lab",
    `--certificate-authority=${instance.caPath}`,
    "--embed-certs=true",
    `--server=${instance.server}`,
  );
  await config("set-credentials", "kubelet-bootstrap", `--token=${TOKEN}`);
  await config("set-context", "default", "--cluster=lab", "--user=kubelet-bootstrap");
  await config("use-context", "default");
  return instance;
}

function startClient(instance: RunningInstance, node: string) {
  return instance.startTlsboot(
    ...["bootstrap", "--bootstrap-kubeconfig", "bootstrap.kubeconfig", "--kubeconfig", `${node}.kubeconfig`],
    ...["--cert-dir", `${node}-pki`, "--hostname-override", node],
  );
}

for (const release of KUBERNETES_RELEASES) {
  test(`walkthrough leads from a token to a kubeconfig that works, by certificate approve of kubectl ${release}`, async () => {
    await using instance = await startWalkthrough(release);
    assert.match(
      await instance.kubectl.run(...GRANT),
      /^clusterrolebinding\.rbac\.authorization\.k8s\.io\/kubelet-bootstrap created/,
    );

    await using client = startClient(instance, "n1");
    const name = await waitForCsr(instance.kubectl);
    assert.match(
      await instance.kubectl.run("get", "csr"),
      /^NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION\nnode-csr-\S{43} +\d+s +kubernetes\.io\/kube-apiserver-client-kubelet +kubelet-bootstrap +<none> +Pending\n$/,
    );
    const described = await instance.kubectl.run("describe", "csr", name);
    assert.match(described, /^Requesting User: +kubelet-bootstrap$/m);
    assert.match(described, /^Status: +Pending$/m);
    assert.match(described, /Common Name: +system:node:n1/);
    assert.match(described, /Organization: +system:nodes/);

    assert.equal(
      await instance.kubectl.run("certificate", "approve", name),
      `certificatesigningrequest.certificates.k8s.io/${name} approved\n`,
    );
    const { code, stderr } = await client.finished();
    assert.equal(code, 0, stderr);
    assert.match(await instance.kubectl.run("get", "csr", name), / Approved,Issued\n$/);

    await assertNodePair(instance.caPath, instance.folder.join("n1-pki", "kubelet-client-current.pem"), "n1");
    const kubeconfig = instance.folder.join("n1.kubeconfig");
    assert.equal(await readMode(kubeconfig), 0o600);
    const node = instance.kubectl.as(kubeconfig);
    assert.equal(
      await node.run("auth", "whoami", "--output=jsonpath={.status.userInfo.username} {.status.userInfo.groups}"),
      'system:node:n1 ["system:nodes","system:authenticated"]',
    );
    assert.match(await node.run("get", "csr", name, "--output=name"), /node-csr-/);
    assert.match(await instance.kubectl.run("version"), new RegExp(`^Client Version: ${release}\n`));
  });

  test(`walkthrough ends with a clear refusal after certificate deny of kubectl ${release}, and nothing usable is written`, async () => {
    await using instance = await startWalkthrough(release);
    await instance.kubectl.run(...GRANT);
    await using client = startClient(instance, "n2");
    const name = await waitForCsr(instance.kubectl);
    assert.equal(
      await instance.kubectl.run("certificate", "deny", name),
      `certificatesigningrequest.certificates.k8s.io/${name} denied\n`,
    );
    const { code, stderr } = await client.finished();
    assert.equal(code, 3, stderr);
    assert.match(stderr, /denied/);
    assert.equal(existsSync(instance.folder.join("n2.kubeconfig")), false);
    assert.equal(existsSync(instance.folder.join("n2-pki", "kubelet-client-current.pem")), false);
    assert.match(await instance.kubectl.run("get", "csr", name), / Denied\n$/);
  });
}

test("walkthrough revokes a group: without its binding the next request is 403", async () => {
  await using instance = await startWalkthrough();
  const bootstrapper = instance.kubectl.as(instance.folder.join("bootstrap.kubeconfig"));
  const mayAsk = () => bootstrapper.try("auth", "can-i", "create", "certificatesigningrequests.certificates.k8s.io");

  assert.equal((await mayAsk()).stdout, "no\n");
  await instance.kubectl.run(...GRANT);
  assert.equal((await mayAsk()).stdout, "yes\n");
  await instance.kubectl.run("delete", "clusterrolebinding", "kubelet-bootstrap");
  assert.equal((await mayAsk()).stdout, "no\n");

  const { code, stderr } = await startClient(instance, "n3").finished();
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /certificatesigningrequests\.certificates\.k8s\.io is forbidden: User "kubelet-bootstrap" cannot create resource/,
  );
  assert.equal(await instance.kubectl.run("get", "csr", "--output=name"), "");
});
