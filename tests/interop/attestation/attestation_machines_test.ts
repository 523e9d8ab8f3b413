/**
 * A machine with a TPM, one with an SSH host key and stock kubelets join a tlsboot server and a real cluster without a
 * token.
 */
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import { spawnTlsboot, spawnTlsbootToEnd, succeedProgram, succeedTlsboot } from "../../support/child.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { startKubelet } from "../../support/interop/kubelet.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { publishClusterInfo } from "../../support/interop/published_cluster.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { startSwtpm } from "../../support/interop/swtpm.ts";
import { createTempFolder } from "../../support/temp.ts";

const POLICY = `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: proven
rules:
- name: by-any-proof
  match: { signerNames: [kubernetes.io/kube-apiserver-client-kubelet] }
  require: { attested: { maxAge: 5m } }
  then: next
`;

test("machines prove their identity by a TPM and by an SSH host key, at each renewal too, and no other machine joins under their names", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createTempFolder());
  const [tpm, foreign] = [stack.use(await startSwtpm()), stack.use(await startSwtpm())];
  const hostKey = folder.join("ssh_host_ed25519_key");
  await succeedProgram("ssh-keygen", ["-q", "-N", "", "-t", "ed25519", "-f", hostKey]);
  const byTpm = (path: string) => ["--attest", "tpm", "--proof-from", path];
  const show = async (node: string, proof: string, from: string): Promise<string> => {
    const args = ["attest", "--show", "--proof", proof, "--proof-from", from, "--hostname-override", node];
    return (await succeedTlsboot(args)).stdout;
  };
  const [tpmEntry, sshEntry] = [await show("n1", "tpm", tpm.path), await show("n2", "ssh", hostKey)];
  const fingerprint = (await succeedProgram("ssh-keygen", ["-l", "-f", `${hostKey}.pub`])).stdout.split(" ")[1];
  assert.equal(sshEntry, `- { name: "n2", ssh: "${fingerprint}" }\n`);
  const [inventory, policy] = [folder.join("machines.yaml"), folder.join("proven.yaml")];
  await writeFile(inventory, `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n${tpmEntry}${sshEntry}`);
  await writeFile(policy, POLICY);
  const args = ["--inventory", inventory, "--auto-approve", "--policy", policy, "--cluster-signing-duration", "20s"];
  await using instance = await startInstance({ args });
  const bundle = parseCaBundle(await readFile(instance.caPath, "utf8"));
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  const server = ["--server", instance.server, "--ca-cert-hash", publicKeyPin(bundle.value[0])];
  const machine = (name: string, node: string) => {
    const files = ["--kubeconfig", `${name}/kubeconfig`, "--cert-dir", `${name}/pki`];
    return [...server, "--hostname-override", node, ...files];
  };

  await using n1 = instance.spawnTlsboot(
    ...["bootstrap", ...byTpm(tpm.path), ...machine("n1", "n1"), "--rotate-certificates"],
  );
  await n1.waitFor(/certificate of n1 issued/);
  await n1.waitFor(/(?:certificate renewed, valid until [^]*){3}/);
  const certificates = await instance.succeed("get", "certificates", "-o", "wide", "--data-dir", instance.dataDir);
  const proven = certificates.stdout.match(/system:node:n1.* tpm sha256:[0-9a-f]{64} \d/g) ?? [];
  assert.ok(proven.length >= 4, certificates.stdout);

  // A copy of the disk is refused with another TPM and without a TPM.
  await cp(instance.folder.join("n1"), instance.folder.join("copy"), { recursive: true });
  const otherTpm = await instance.tlsboot("bootstrap", ...byTpm(foreign.path), ...machine("copy", "n1"));
  assert.equal(otherTpm.code, 1);
  assert.match(otherTpm.stderr, /cannot prove to "\S+" that this machine is "n1": the proof was not accepted: /);
  const copy = await instance.tlsboot("bootstrap", ...byTpm(folder.join("none")), ...machine("copy", "n1"));
  assert.equal(copy.code, 1);
  assert.match(copy.stderr, /error: cannot .*TPM/);

  // Without its TPM the machine itself gets no new certificate either, and says why.
  await tpm[Symbol.asyncDispose]();
  await n1.waitFor(/cannot renew the certificate.*TPM/);

  const pki = instance.folder.join("kubelet-n2", "pki");
  const out = instance.folder.join("n2.conf");
  const proof = ["--proof", "ssh", "--proof-from", hostKey, "--hostname-override", "n2"];
  await instance.succeed("attest", ...proof, ...server, "--cert-dir", pki, "--out", out);
  const key = await readFile(`${pki}/kubelet-client.key.tmp`, "utf8");
  await using kubelet = await startKubelet(instance.folder, "n2", out);
  await kubelet.running.finished();
  await assertNodePair(instance.caPath, kubelet.currentPair, "n2");
  assert.ok((await readFile(kubelet.currentPair, "utf8")).includes(key.trim()));
});

test("a stock kubelet joins a real cluster through an attestor, and its token gets no other certificate", async () => {
  await using plane = await sharedControlPlane();
  const { folder, kubectl } = plane;
  const nodeClient = "system:certificates.k8s.io:certificatesigningrequests:nodeclient";
  const autoApprove = (name: string, group: string) =>
    kubectl.run("create", "clusterrolebinding", name, `--clusterrole=${nodeClient}`, `--group=${group}`);
  await kubectl.run("wait", "namespace/kube-public", "--for=create");
  await publishClusterInfo(plane, kubectl);
  await autoApprove("kubeadm:node-autoapprove-bootstrap", "system:bootstrappers:kubeadm:default-node-token");
  await using _controllers = plane.startCertificateControllers();

  /** Grants a role only its own permissions, and returns the arguments that run it. */
  const prepare = async (role: string, ...flags: readonly string[]): Promise<readonly string[]> => {
    await kubectl.create((await succeedTlsboot([role, "--print-rbac", ...flags])).stdout);
    const token = await kubectl.run("create", "token", `tlsboot-${role}`, "--namespace=kube-system");
    return [role, "--kubeconfig", await plane.kubeconfigWithToken(role, token.trim()), ...flags];
  };
  await using approver = spawnTlsboot(await prepare("approver", "--token-limits"));
  const hostKey = folder.join("ssh_host_ed25519_key");
  await succeedProgram("ssh-keygen", ["-q", "-N", "", "-t", "ed25519", "-f", hostKey]);
  const proof = ["--proof", "ssh", "--proof-from", hostKey, "--hostname-override", "n1"];
  const { stdout: line } = await succeedTlsboot(["attest", "--show", ...proof]);
  const inventory = folder.join("machines.yaml");
  await writeFile(inventory, `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n${line}`);
  const attesting = [...await prepare("attestor"), "--inventory", inventory, "--secure-port", "0"];
  await using attestor = spawnTlsboot(attesting);
  const [, url = "", hash = ""] = await attestor.waitFor(/--server (\S+) --ca-cert-hash (\S+) --cert-dir/);
  const attest = async (pki: string, name: string): Promise<string> => {
    const server = ["--server", url, "--ca-cert-hash", hash];
    await succeedTlsboot(["attest", ...proof, ...server, "--cert-dir", pki, "--out", folder.join(name)]);
    return folder.join(name);
  };

  const pki = folder.join("kubelet-n1", "pki");
  await using kubelet = await startKubelet(folder, "n1", await attest(pki, "n1.conf"));
  await kubelet.running.finished();
  await assertNodePair(plane.caPath, kubelet.currentPair, "n1");
  const identity = await kubectl.as(kubelet.kubeconfig).run("auth", "whoami");
  assert.match(identity, /Username +system:node:n1\n/);

  const tokens = await kubectl.run("get", "secrets", "--namespace=kube-system", "--output=json");
  assert.match(tokens, /"tlsboot\/attested": "ssh SHA256:/);

  const stolen = await attest(folder.join("other"), "stolen.conf");
  const join = (machine: string, node: string) =>
    spawnTlsbootToEnd([
      ...["bootstrap", "--bootstrap-kubeconfig", stolen, "--hostname-override", node, "--timeout", "60s"],
      ...["--kubeconfig", folder.join(machine, "kubeconfig"), "--cert-dir", folder.join(machine, "pki")],
    ]);
  const otherName = await join("x", "n2");
  assert.equal(otherName.code, 3, otherName.stderr);
  assert.match(otherName.stderr, /the token is only for the client certificate of node "n1"/);
  const otherKey = await join("y", "n1");
  assert.equal(otherKey.code, 3, otherKey.stderr);
  assert.match(otherKey.stderr, /the token is only for the key sha256:/);

  await autoApprove("auto-approve", "system:bootstrappers");
  const refused = await spawnTlsbootToEnd(attesting);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /kube-controller-manager would approve .*ClusterRoleBinding \"?auto-approve/);
  for (const { stderr } of [approver, attestor]) assert.doesNotMatch(stderr(), /forbidden|rights are missing/i);
});
