/**
 * Approval policies with whole kubelets 1.37: issued and refused serving certificates, the reasons, and a change of
 * leader.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../../support/child.ts";
import { buildCsr } from "../../support/csr_builder.ts";
import { eventually } from "../../support/eventually.ts";
import { createTempFolder } from "../../support/temp.ts";
import { controllerRbac, startApprover, startSigner } from "../../support/interop/controller_rbac.ts";
import { writeInventory } from "../../support/interop/inventory.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { startWholeKubelet, untilReady, type WholeKubelet } from "../../support/interop/whole_kubelet.ts";

const SIGNER = "kubernetes.io/kubelet-serving";

/** Waits for a node's serving request and returns its name. A failure shows the kubelet's log. */
async function findServingRequest(kubectl: Kubectl, node: string, kubelet: WholeKubelet): Promise<string> {
  const columns = 'jsonpath={.metadata.name} {.spec.username}{"\\n"}';
  await using watch = kubectl.start(
    ...["get", "csr", "--watch", `--output=${columns}`, `--field-selector=spec.signerName=${SIGNER}`],
  );
  const found = watch.waitFor(new RegExp(`^(csr-\\S+) system:node:${node}$`, "m"));
  const [, name = ""] = await found.catch(async (cause: unknown) => {
    const requests = await kubectl.run("get", "csr");
    throw new Error(`${requests}\n${kubelet.running.stderr().slice(-20_000)}`, { cause });
  });
  return name;
}

/**
 * Waits until a text contains an event, which the approver writes after its decision and its log line. Returns the
 * text.
 */
function untilEvent(pattern: RegExp, read: () => Promise<string>): Promise<string> {
  return eventually(`the event ${pattern}`, async () => {
    const text = await read();
    return pattern.test(text) ? text : undefined;
  });
}

test("tlsboot up --policy kubelet-serving: a kubelet gets the addresses of its inventory entry, and another kubelet that claims them does not", async () => {
  await using folder = await createTempFolder();
  const inventory = await writeInventory(folder, "first");
  await using instance = await startInstance({
    args: ["--auto-approve", "--policy", "kubelet-serving", "--inventory", inventory],
  });
  const { kubectl } = instance;
  await using first = await startWholeKubelet(instance.folder, "first", instance.bootstrapKubeconfig);
  const own = await findServingRequest(kubectl, "first", first);
  await waitForCertificate(kubectl, own);
  assert.match(
    await kubectl.run("get", "csr", own, "--output=jsonpath={.status.conditions[*].message}"),
    /^Approved by rule "kubelet-serving" of policy "kubelet-serving": .* first by inventory/,
  );
  await untilReady(kubectl, "first");
  await untilEvent(
    /Normal +PolicyApproved +\S+ +tlsboot-approver +Approved by rule/,
    () => kubectl.run("describe", "csr", own),
  );

  // Both kubelets run on this machine, so the second one reports the address of the first.
  await using second = await startWholeKubelet(instance.folder, "second", instance.bootstrapKubeconfig);
  // The inventory lacks the second machine, so a person approves it.
  await instance.running.waitFor(/CSR held for a person.*machine second is not in the inventory/);
  await succeedTlsboot(["approve", "second", "--yes", "--kubeconfig", instance.adminKubeconfig]);
  const foreign = await findServingRequest(kubectl, "second", second);
  await instance.running.waitFor(new RegExp(`CSR left pending.*${foreign}`));
  await using trusting = spawnTlsboot([
    ...["approver", "--kubeconfig", instance.adminKubeconfig, "--policy", "kubelet-serving-trusting"],
    "--leader-elect=false",
  ]);
  await trusting.waitFor(new RegExp(`CSR left pending.*${foreign}`));
  assert.match(await kubectl.run("get", "csr", foreign, "--no-headers"), / Pending\n$/);

  const explain = ["policy", "explain", foreign, "--kubeconfig", instance.adminKubeconfig];
  const strictVerdict = await spawnTlsbootToEnd([...explain, "--policy", "kubelet-serving", "--inventory", inventory]);
  assert.equal(strictVerdict.code, 3, strictVerdict.stderr);
  assert.match(strictVerdict.stdout, /why +.*belongs to node first, by the inventory/);
  const trustingVerdict = await spawnTlsbootToEnd([...explain, "--policy", "kubelet-serving-trusting"]);
  assert.equal(trustingVerdict.code, 3, trustingVerdict.stderr);
  assert.match(trustingVerdict.stdout, /why +.*belongs to node first too, by its own status/);
});

test("kube-apiserver with our signer and two approvers, all with least privilege: after the leader dies, the other approver lets a kubelet join", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  await kubectl.create(controllerRbac("kubelet-serving"));
  const inventory = await writeInventory(plane.folder, "whole");
  const bootstrap = await plane.kubeconfigWithToken("bootstrap", "bootstrap-token");
  await using _signer = await startSigner(plane);
  const policy = ["--policy", "kubelet-serving", "--inventory", inventory];
  await using leader = await startApprover(plane, ...policy);
  const holder = () =>
    kubectl.run("get", "lease/tlsboot-approver", "--namespace=kube-system", "--output=jsonpath={.spec.holderIdentity}");
  await kubectl.run("wait", "lease/tlsboot-approver", "--namespace=kube-system", "--for=create");
  const first = await holder();
  await using follower = await startApprover(plane, ...policy);
  const { code, stderr } = await spawnTlsbootToEnd([
    ...["bootstrap", "--bootstrap-kubeconfig", bootstrap, "--hostname-override", "n1"],
    ...["--kubeconfig", plane.folder.join("n1", "kubeconfig"), "--cert-dir", plane.folder.join("n1", "pki")],
  ]);
  assert.equal(code, 0, stderr);
  await leader.waitFor(/CSR approved/);
  assert.doesNotMatch(follower.stderr(), /CSR approved/);

  leader.kill("SIGKILL");
  await leader.finished();
  await using kubelet = await startWholeKubelet(plane.folder, "whole", bootstrap);
  await kubectl.run("wait", "node/whole", "--for=create");
  assert.notEqual(await holder(), first);
  const serving = await findServingRequest(kubectl, "whole", kubelet);
  await waitForCertificate(kubectl, serving);
  await untilReady(kubectl, "whole");
  await assertNodePair(plane.caPath, `${kubelet.certDir}/kubelet-client-current.pem`, "whole");
  await follower.waitFor(/CSR approved.*kubelet-serving/);
  await untilEvent(
    /PolicyApproved/,
    () => kubectl.run("get", "events", "--namespace=default", "--output=jsonpath={.items[*].reason}"),
  );

  // The new leader knows n1's certificate from its request, and has published its settings.
  await using secondMachine = spawnTlsboot([
    ...["bootstrap", "--bootstrap-kubeconfig", bootstrap, "--hostname-override", "n1"],
    ...["--kubeconfig", plane.folder.join("other", "kubeconfig"), "--cert-dir", plane.folder.join("other", "pki")],
  ]);
  await follower.waitFor(/CSR held for a person.*n1 already has a certificate until/);
  const asAdmin = ["--kubeconfig", plane.adminKubeconfig];
  const listed = await spawnTlsbootToEnd(["get", "csr", ...asAdmin]);
  assert.match(
    listed.stderr,
    /^node-csr-\S+: n1 already has a certificate until \S+; another machine may be claiming its name$/m,
  );
  const described = await untilEvent(
    /\n {2}Warning +NameClaimed +\S+ +tlsboot-approver +Left pending: n1 already has /,
    async () => (await succeedTlsboot(["describe", "csr", "n1", ...asAdmin])).stdout,
  );
  assert.match(described, /\n {2}Policies: +kubelet-serving, inventory of 1 \(published by the approver\)\n/);
  assert.match(described, /\nVerdict: +left pending: n1 already has a certificate until /);
  await succeedTlsboot(["approve", "n1", "--yes", ...asAdmin]);
  assert.equal((await secondMachine.finished()).code, 0);
  // The approvers lack no permission.
  assert.doesNotMatch(follower.stderr() + leader.stderr(), /forbidden|access_denied/);
});

test("kube-apiserver with our approver: a deny rule stops a stolen node, and a manual decision records who made it", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  await kubectl.create(controllerRbac());
  const policy = plane.folder.join("stop.yaml");
  const stop = (user: string) =>
    writeFile(
      policy,
      "apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy\nname: stop\nrules:\n" +
        `  - {name: stolen, match: {signerNames: [kubernetes.io/*], users: ["${user}"]}, then: deny}\n`,
    );
  await stop("unused");
  const asAdmin = ["--kubeconfig", plane.adminKubeconfig, "--leader-elect=false"];
  await using approver = spawnTlsboot(["approver", ...asAdmin, "--policy", policy]);
  await using _signer = spawnTlsboot(["signer", ...asAdmin, ...plane.caFlags]);
  const bootstrap = await plane.kubeconfigWithToken("bootstrap", "bootstrap-token");
  const { code, stderr } = await spawnTlsbootToEnd([
    ...["bootstrap", "--bootstrap-kubeconfig", bootstrap, "--hostname-override", "n1"],
    ...["--kubeconfig", plane.folder.join("n1", "kubeconfig"), "--cert-dir", plane.folder.join("n1", "pki")],
  ]);
  assert.equal(code, 0, stderr);

  const thief = kubectl.as(plane.folder.join("n1", "kubeconfig"));
  const request = async (name: string) => {
    const csr = await buildCsr({ name });
    const { username: _username, groups: _groups, ...spec } = csr.spec;
    await thief.create(JSON.stringify({ ...csr, spec, status: {} }));
    await kubectl.run("wait", `csr/${name}`, "--for=jsonpath={.status.conditions[0].type}");
    return await kubectl.run(
      ...["get", "csr", name, "--output=jsonpath={.status.conditions[0].type}: {.status.conditions[0].message}"],
    );
  };
  assert.match(await request("before"), /^Approved: Auto approving self kubelet client certificate/);
  await stop("system:node:n1");
  await approver.waitFor(/policy or inventory reloaded/);
  assert.equal(
    await request("after"),
    'Denied: Denied by rule "stolen" of policy "stop": it denies every request that it matches.',
  );

  const other = await buildCsr({ name: "other", signerName: "example.com/web" });
  await kubectl.create(JSON.stringify(other));
  await succeedTlsboot(["deny", "other", "--kubeconfig", plane.adminKubeconfig]);
  const admin = (await kubectl.run("auth", "whoami", "--output=jsonpath={.status.userInfo.username}")).trim();
  assert.equal(
    await kubectl.run(
      ...["get", "csr", "other", "--output=jsonpath={.status.conditions[0].reason}: {.status.conditions[0].message}"],
    ),
    `TlsbootDeny: This CSR was denied by user "${admin}" with tlsboot deny.`,
  );

  // An approver without permissions exits and reports the missing ones.
  const powerless = await spawnTlsbootToEnd(["approver", "--kubeconfig", plane.folder.join("n1", "kubeconfig")]);
  assert.equal(powerless.code, 1);
  assert.match(powerless.stderr, /user "system:node:n1" may not .*update certificatesigningrequests\/approval/);
});
