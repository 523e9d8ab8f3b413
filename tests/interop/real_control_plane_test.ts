/** tlsboot beside a real kube-apiserver 1.37: all of ours, then one cross pair each way. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { test } from "node:test";
import { peerPath } from "../support/peers/go.ts";
import { type Running, runProgram, runTlsboot, startTlsboot } from "../support/child.ts";
import { type ControlPlane, startControlPlane } from "../support/interop/control_plane.ts";
import { controllerRbac } from "../support/interop/controller_rbac.ts";
import { startKubelet } from "../support/interop/kubelet.ts";
import { createKubectl, type Kubectl, waitForCsr } from "../support/interop/kubectl.ts";
import { assertNodePair } from "../support/interop/openssl.ts";

/**
 * Certificates are backdated by five minutes, so after half a minute of life more than 90 % of their span is over from
 * the beginning, and a client with rotation renews at once.
 */
const SHORT_LIFE = "30s";

/** kubectl as administrator, after the bindings were made. */
async function prepare(plane: ControlPlane): Promise<Kubectl> {
  await mkdir(plane.folder.join("home"));
  const kubectl = createKubectl(plane.folder, plane.adminKubeconfig);
  await kubectl.run("wait", "namespace/kube-system", "--for=create", "--timeout=30s");
  await kubectl.given({ stdin: controllerRbac() }).run("create", "-f", "-");
  return kubectl;
}

async function startSigner(plane: ControlPlane, ...more: readonly string[]): Promise<Running> {
  return startTlsboot([
    ...["signer", "--kubeconfig", await plane.kubeconfigWithToken("signer", "signer-token")],
    ...["--cluster-signing-cert-file", plane.caPath, "--cluster-signing-key-file", plane.caKeyPath, ...more],
  ]);
}

async function startApprover(plane: ControlPlane): Promise<Running> {
  return startTlsboot(["approver", "--kubeconfig", await plane.kubeconfigWithToken("approver", "approver-token")]);
}

async function bootstrapArguments(plane: ControlPlane, node: string): Promise<readonly string[]> {
  return [
    ...["bootstrap", "--bootstrap-kubeconfig", await plane.kubeconfigWithToken("bootstrap", "bootstrap-token")],
    ...["--kubeconfig", plane.folder.join(node, "kubeconfig"), "--cert-dir", plane.folder.join(node, "pki")],
    ...["--hostname-override", node],
  ];
}

async function assertBootstrapped(plane: ControlPlane, kubectl: Kubectl, node: string): Promise<void> {
  await assertNodePair(plane.caPath, plane.folder.join(node, "pki", "kubelet-client-current.pem"), node);
  const asNode = kubectl.as(plane.folder.join(node, "kubeconfig"));
  assert.match(await asNode.run("auth", "whoami"), new RegExp(`Username +system:node:${node}\n`));
}

test("kube-apiserver with our signer, approver and client: a machine bootstraps, with least privilege and elections", async () => {
  await using plane = await startControlPlane({ controllers: false });
  const kubectl = await prepare(plane);
  await using _signer = await startSigner(plane);
  await using _approver = await startApprover(plane);
  const { code, stderr } = await runTlsboot(await bootstrapArguments(plane, "n1"));
  assert.equal(code, 0, stderr);
  await assertBootstrapped(plane, kubectl, "n1");
  assert.match(
    await kubectl.run("get", "csr", "--no-headers"),
    /^node-csr-\S{43} .* kubelet-bootstrap .* Approved,Issued\n$/,
  );
  assert.match(await kubectl.run("get", "leases", "--namespace=kube-system", "--output=name"), /signer[^]*|approver/);
});

test("kube-apiserver with our controllers and our client: the certificate rotates as the node itself", async () => {
  await using plane = await startControlPlane({ controllers: false });
  const kubectl = await prepare(plane);
  await using _signer = await startSigner(plane, "--cluster-signing-duration", SHORT_LIFE);
  await using _approver = await startApprover(plane);
  await using client = startTlsboot([...await bootstrapArguments(plane, "n1"), "--rotate-certificates"]);
  await client.waitFor(/(certificate renewed[^]*){2}/);
  // The directory is not read while it changes.
  client.kill("SIGKILL");
  await client.finished();
  await assertBootstrapped(plane, kubectl, "n1");
  const requesters = await kubectl.run("get", "csr", '--output=jsonpath={range .items[*]}{.spec.username}{"\\n"}{end}');
  assert.ok((requesters.match(/^system:node:n1$/gm)?.length ?? 0) >= 2, requesters);
  assert.equal(requesters.match(/^kubelet-bootstrap$/gm)?.length, 1, requesters);
});

test("kube-apiserver with its own controllers and our client: approved automatically, and by tlsboot approve", async () => {
  await using plane = await startControlPlane({ controllers: true });
  const kubectl = await prepare(plane);
  const automatic = await runTlsboot(await bootstrapArguments(plane, "n1"));
  assert.equal(automatic.code, 0, automatic.stderr);
  await assertBootstrapped(plane, kubectl, "n1");

  const nodeclient = "interop:system:certificates.k8s.io:certificatesigningrequests:nodeclient";
  await kubectl.run("delete", "clusterrolebinding", nodeclient);
  await kubectl.run("delete", "csr", "--all");
  await using client = startTlsboot(await bootstrapArguments(plane, "n2"));
  const name = await waitForCsr(kubectl);
  const approved = await runTlsboot(["approve", name, "--kubeconfig", plane.adminKubeconfig]);
  assert.equal(approved.code, 0, approved.stderr);
  const manual = await client.finished();
  assert.equal(manual.code, 0, manual.stderr);
  await assertBootstrapped(plane, kubectl, "n2");
});

test("kube-apiserver with our controllers and stock clients: a kubelet bootstraps, a certificate manager rotates", async () => {
  await using plane = await startControlPlane({ controllers: false });
  const kubectl = await prepare(plane);
  await using _signer = await startSigner(plane, "--cluster-signing-duration", SHORT_LIFE);
  await using _approver = await startApprover(plane);
  const bootstrap = await plane.kubeconfigWithToken("bootstrap", "bootstrap-token");

  await using kubelet = await startKubelet(plane.folder, "n1", bootstrap);
  await kubelet.running.finished();
  await assertNodePair(plane.caPath, kubelet.currentPair, "n1");

  const { code, stdout, stderr } = await runProgram(peerPath("certmanager"), [
    ...[`-bootstrap-kubeconfig=${bootstrap}`, `-cert-dir=${plane.folder.join("manager")}`],
    ...["-node=n2", "-certificates=3", "-timeout=60s"],
  ]);
  assert.equal(code, 0, `${stdout}${stderr}`);
  await assertNodePair(plane.caPath, plane.folder.join("manager", "kubelet-client-current.pem"), "n2");
  assert.match(await kubectl.run("get", "csr"), /system:node:n2/);
});
