/** Two signers for the same signer name: one signs, the other takes over, and nothing is signed twice. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type Child, spawnTlsboot } from "../../support/child.ts";
import { formatKubeconfig, type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import type { RunningInstance } from "../../support/interop/instance.ts";
import { sharedControlPlane, sharedInstance } from "../../support/interop/shared.ts";
import { approveWebRequest, writeWebProfile } from "../../support/interop/web_signer.ts";

const LEADS = /"message":"leading/;
/** A signature is logged once it is stored. */
const SIGNED_SOME = /(?:[^]*"message":"CSR signed"){3}/;

/** Returns the names of the requests that a signer has logged as signed. */
function findSigned(signer: Child): readonly string[] {
  return [...signer.stderr().matchAll(/"message":"CSR signed".*?"csr":"([^"]+)"/g)].map(([, name = ""]) => name);
}

/** Kills the leader twice, once with SIGKILL and once with SIGTERM, while requests continue. */
async function assertTakesOver(start: () => Child, kubectl: Kubectl): Promise<void> {
  const signers: Child[] = [];
  const begin = () => {
    const signer = start();
    signers.push(signer);
    return signer;
  };
  let count = 0;
  const approveSome = async () => {
    for (let more = 0; more < 3; more++) await approveWebRequest(kubectl, `web-${++count}`);
  };
  try {
    const first = begin();
    await first.waitFor(LEADS);
    const second = begin();
    await approveSome();
    await waitForCertificate(kubectl, `web-${count}`);
    // Only the leader signs, unless it stalled for so long that it lost the lease.
    if (findSigned(second).length > 0) await first.waitFor(/no longer leading/);

    // Some requests are approved before the leader dies, some while there is none.
    await approveSome();
    first.kill("SIGKILL");
    await first.finished();
    await approveSome();
    await second.waitFor(LEADS);
    await second.waitFor(SIGNED_SOME);

    const third = begin();
    await third.waitFor(/working for an API server/);
    second.kill("SIGTERM");
    await second.finished();
    await approveSome();
    await third.waitFor(LEADS);
    for (let number = 1; number <= count; number++) await waitForCertificate(kubectl, `web-${number}`);

    await third.waitFor(SIGNED_SOME);
    const signed = signers.flatMap(findSigned);
    assert.deepEqual(signed, [...new Set(signed)], "a request is signed twice");
    // No signer tried to replace a certificate, which the API would refuse.
    for (const signer of signers) assert.doesNotMatch(signer.stderr(), /error updating signature/);
  } finally {
    for (const signer of signers) await signer[Symbol.asyncDispose]();
  }
}

/** Writes a kubeconfig with the token file of a service account, as in a pod. */
async function writeAccountKubeconfig({ folder, kubectl, server, caPath }: RunningInstance, account: string) {
  await writeFile(folder.join("token"), await kubectl.run("create", "token", account, "--namespace=kube-system"));
  const path = folder.join("signer.kubeconfig");
  const cluster = { server, "certificate-authority": caPath };
  await writeFile(path, formatKubeconfig(cluster, { tokenFile: "token" }), { mode: 0o600 });
  return path;
}

function signerArguments(kubeconfig: string, profile: string, ca: string, key: string): readonly string[] {
  return [
    ...["signer", "--kubeconfig", kubeconfig, "--profile", profile],
    ...["--cluster-signing-cert-file", ca, "--cluster-signing-key-file", key],
  ];
}

test("two signers with kube-apiserver: after the leader is killed the other takes over, and nothing is signed twice", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  const profile = await writeWebProfile(plane.folder);
  const args = signerArguments(plane.adminKubeconfig, profile, plane.caPath, plane.caKeyPath);
  await assertTakesOver(() => spawnTlsboot(args), kubectl);
});

test("two signers with a service account of tlsboot up: after the leader is killed the other takes over, and nothing is signed twice", async () => {
  await using instance = await sharedInstance();
  const profile = await writeWebProfile(instance.folder);
  const manifest = await instance.tlsboot("signer", "--print-rbac", "--profile", profile);
  await instance.kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
  const kubeconfig = await writeAccountKubeconfig(instance, "tlsboot-signer.example.com.web");
  const args = signerArguments(kubeconfig, profile, instance.caPath, `${instance.dataDir}/pki/ca.key`);
  await assertTakesOver(() => spawnTlsboot(args), instance.kubectl);
});
