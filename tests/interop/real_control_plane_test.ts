/** tlsboot with a real kube-apiserver: all parts of tlsboot, or some of them with Kubernetes' own controllers. */
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { ROOT, spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../support/child.ts";
import { readGuide, toScript } from "../support/guide.ts";
import { type ControlPlane, startControlPlane } from "../support/interop/control_plane.ts";
import { controllerRbac, startApprover, startSigner } from "../support/interop/controller_rbac.ts";
import { writeInventory } from "../support/interop/inventory.ts";
import { type Kubectl, waitForCsr } from "../support/interop/kubectl.ts";
import { assertChain, assertNodePair } from "../support/interop/openssl.ts";
import { publishClusterInfo } from "../support/interop/published_cluster.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";
import { createShell } from "../support/interop/shell.ts";
import { POD_PROFILE } from "../support/pod_profile.ts";
import { KUBE_APISERVER_VERSIONS } from "./comparison/versions.ts";

/**
 * Certificates are backdated by five minutes, so more than 90 % of a lifetime of 30 s is over from the start, and a
 * rotating client renews at once.
 */
const SHORT_LIFE = "30s";

/** Creates the bindings, and returns kubectl as administrator. */
async function prepare({ kubectl }: ControlPlane, ...policies: readonly string[]): Promise<Kubectl> {
  await kubectl.create(controllerRbac(...policies));
  return kubectl;
}

async function bootstrapArguments(plane: ControlPlane, node: string): Promise<readonly string[]> {
  return [
    ...["bootstrap", "--bootstrap-kubeconfig", await plane.kubeconfigWithToken("bootstrap", "bootstrap-token")],
    ...["--kubeconfig", plane.folder.join(node, "kubeconfig"), "--cert-dir", plane.folder.join(node, "pki")],
    ...["--hostname-override", node],
  ];
}

/**
 * Returns arguments with the CA inside the bootstrap kubeconfig, because tlsboot keeps the path of a CA file and its
 * key is in the same folder.
 */
async function bootstrapWithCaInside(plane: ControlPlane, node: string): Promise<readonly string[]> {
  const args = await bootstrapArguments(plane, node);
  const path = plane.folder.join("bootstrap.kubeconfig");
  const embedded = `"certificate-authority-data":"${btoa(await readFile(plane.caPath, "utf8"))}"`;
  await writeFile(path, (await readFile(path, "utf8")).replace(/"certificate-authority":"[^"]*"/, embedded));
  return args;
}

async function assertBootstrapped(plane: ControlPlane, kubectl: Kubectl, node: string): Promise<void> {
  await assertNodePair(plane.caPath, plane.folder.join(node, "pki", "kubelet-client-current.pem"), node);
  const asNode = kubectl.as(plane.folder.join(node, "kubeconfig"));
  assert.match(await asNode.run("auth", "whoami"), new RegExp(`Username +system:node:${node}\n`));
}

/** Asserts that commands that need a kind of Kubernetes 1.37 fail with clear errors. */
async function assertTooOld(plane: ControlPlane): Promise<void> {
  const profile = plane.folder.join("pods.yaml");
  await writeFile(profile, POD_PROFILE);
  for (
    const [kind, command] of [
      ["ClusterTrustBundles", ["get", "trustbundles"]],
      ["PodCertificateRequests", ["signer", "--pod-certificates", "--profile", profile, ...plane.caFlags]],
    ] as const
  ) {
    const { code, stderr } = await spawnTlsbootToEnd([...command, "--kubeconfig", plane.adminKubeconfig]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, new RegExp(`the server does not serve ${kind} of certificates\\.k8s\\.io/v1\n`));
  }
}

/** The version of kube-apiserver without emulation. */
const [NEWEST] = KUBE_APISERVER_VERSIONS;

for (const version of KUBE_APISERVER_VERSIONS) {
  test(`kube-apiserver ${version} with our signer, approver and client: a machine gets both certificates, with least privilege and leader elections`, async () => {
    const isNewest = version === NEWEST;
    await using plane = isNewest
      ? await sharedControlPlane()
      : await startControlPlane({ controllers: false, emulatedVersion: version });
    const kubectl = await prepare(plane, "kubelet-serving");
    const { emulationMajor, emulationMinor } = JSON.parse(await kubectl.run("get", "--raw", "/version"));
    assert.equal(`${emulationMajor}.${emulationMinor}`, version);
    await using _signer = await startSigner(plane);
    const inventory = await writeInventory(plane.folder, "n1");
    await using _approver = await startApprover(plane, "--policy", "kubelet-serving", "--inventory", inventory);
    const { code, stderr } = await spawnTlsbootToEnd([...await bootstrapArguments(plane, "n1"), "--serving"]);
    assert.equal(code, 0, stderr);
    await assertBootstrapped(plane, kubectl, "n1");
    await assertChain(plane.caPath, plane.folder.join("n1", "pki", "kubelet-server-current.pem"), "sslserver");
    assert.match(
      await kubectl.run("get", "csr", "--no-headers", "--sort-by=.spec.signerName"),
      /^node-csr-\S{43} .* kubelet-bootstrap .* Approved,Issued\nnode-csr-\S{43} .* system:node:n1 .* Approved,Issued\n$/,
    );
    const leases = await kubectl.run("get", "leases", "--namespace=kube-system", "--output=name");
    assert.match(leases, /tlsboot-approver[^]*tlsboot-signer/);
    if (isNewest) return;
    await assertTooOld(plane);
    const again = await succeedTlsboot(await bootstrapWithCaInside(plane, "n1"));
    assert.match(again.stdout, /^nothing to do: /);
    assert.doesNotMatch(again.stderr, /bundle/, "a message about trust bundles, which this release lacks");
  });
}

test("kube-apiserver with its own controllers and our client: requests are approved automatically, and by tlsboot approve", async () => {
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers();
  const kubectl = await prepare(plane);
  await succeedTlsboot(await bootstrapArguments(plane, "n1"));
  await assertBootstrapped(plane, kubectl, "n1");

  const nodeclient = "interop:system:certificates.k8s.io:certificatesigningrequests:nodeclient";
  await kubectl.run("delete", "clusterrolebinding", nodeclient);
  await kubectl.run("delete", "csr", "--all");
  await using client = spawnTlsboot(await bootstrapArguments(plane, "n2"));
  const name = await waitForCsr(kubectl);
  // The user of the bootstrap kubeconfig is unusual for a node, which causes a warning.
  await succeedTlsboot(["approve", name, "--yes", "--kubeconfig", plane.adminKubeconfig]);
  const manual = await client.finished();
  assert.equal(manual.code, 0, manual.stderr);
  await assertBootstrapped(plane, kubectl, "n2");
});

test("kube-apiserver with our controllers: our client renews with the certificate of the node", async () => {
  await using plane = await sharedControlPlane();
  const kubectl = await prepare(plane);
  await using _signer = await startSigner(plane, "--cluster-signing-duration", SHORT_LIFE);
  await using _approver = await startApprover(plane);

  {
    await using client = spawnTlsboot([...await bootstrapArguments(plane, "n1"), "--rotate-certificates"]);
    await client.waitFor(/(certificate renewed[^]*){2}/);
    // The folder must not change while it is read.
    client.kill("SIGKILL");
    await client.finished();
  }
  await assertBootstrapped(plane, kubectl, "n1");
  const requesters = await kubectl.run("get", "csr", '--output=jsonpath={range .items[*]}{.spec.username}{"\\n"}{end}');
  assert.ok((requesters.match(/^system:node:n1$/gm)?.length ?? 0) >= 2, requesters);
  assert.equal(requesters.match(/^kubelet-bootstrap$/gm)?.length, 1, requesters);
});

test("docs/guides/existing_cluster.md works unchanged: the roles, a policy, and a machine without a kubelet", async () => {
  await using plane = await sharedControlPlane();
  const shell = await createShell(plane.folder);
  const { kubectl } = plane;
  await publishClusterInfo(plane, kubectl);
  await using _controllers = plane.startControllers(["bootstrap-signer-controller", "token-cleaner-controller"], []);
  const work = plane.folder.join("work");
  for (const file of ["ca.crt", "ca.key", "admin.kubeconfig"]) await cp(plane.folder.join(file), `${work}/${file}`);
  await cp(`${ROOT}/docs/rbac`, `${work}/docs/rbac`, { recursive: true });
  await cp(await writeInventory(plane.folder, "n2"), `${work}/inventory.yaml`);

  const { blocks } = await readGuide("existing_cluster");
  assert.equal(blocks.length, 4);
  const [roles, policy, join, elsewhere] = blocks as [string, string, string, string];
  // The guide says only "The same for tlsboot-approver" here.
  const toApprover = roles.slice(roles.indexOf("kubectl config"), roles.indexOf("tlsboot signer --"))
    .replaceAll("signer", "approver");
  const serving = "tlsboot bootstrap --kubeconfig n2/kubeconfig --cert-dir n2/pki --hostname-override n2 --serving";
  let script = toScript([
    "export KUBECONFIG=$PWD/admin.kubeconfig",
    roles.replace("tlsboot signer --", `${toApprover}tlsboot signer --`),
    join.replace("-o command", "-o command --server https://10.0.0.1:6443 | tee join"),
    `kubectl delete configmap cluster-info --namespace kube-public\n${elsewhere}`,
    // The approver with the policy decides the machine's request.
    policy.replace("tlsboot policy explain", `${serving}\nwait $boot\ntlsboot policy explain`),
    "openssl verify -CAfile ca.crt joined/pki/kubelet-client-current.pem n2/pki/kubelet-server-current.pem",
    "kubectl auth whoami --kubeconfig n2/kubeconfig",
  ], 0);
  for (
    const [from, to] of Object.entries({
      "https://10.0.0.1:6443": plane.server,
      "abcdef.0123456789abcdef": "$(grep -om1 '[a-z0-9]\\{6\\}\\.[a-z0-9]\\{16\\}' join)",
      "sha256:1234…cdef": "$(grep -om1 'sha256:[0-9a-f]*' join)",
      "/etc/kubernetes/kubelet.conf": "joined/kubeconfig",
      "/var/lib/kubelet/pki": "joined/pki",
      "csr-x7k2p":
        "$(kubectl get csr -o name --field-selector spec.signerName=kubernetes.io/kubelet-serving | cut -d/ -f2)",
    })
  ) script = script.replaceAll(from, () => to);
  const stdout = await shell.succeed(script);
  assert.match(stdout, /joined\/pki\/kubelet-client-current\.pem: OK\nn2\/pki\/kubelet-server-current\.pem: OK/);
  assert.match(stdout, /Username +system:node:n2\n/);
});
