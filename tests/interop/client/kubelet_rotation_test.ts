/** A whole kubelet 1.37 renews both of its certificates at a kube-apiserver with our signer and approver. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { eventually } from "../../support/eventually.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { controllerRbac, startApprover, startSigner } from "../../support/interop/controller_rbac.ts";
import { writeInventory } from "../../support/interop/inventory.ts";
import { assertChain, assertNodePair } from "../../support/interop/openssl.ts";
import { startWholeKubelet, untilLease, untilReady } from "../../support/interop/whole_kubelet.ts";
import { readShownCertificate } from "../../support/shown_certificate.ts";

const NODE = "whole";
const SIGNERS = ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"];

/**
 * Certificates are backdated by five minutes, so two of seven minutes are left. A kubelet renews after 70 to 90 % of
 * the whole lifetime, which is within 78 seconds.
 */
const LIFE = "2m";

test("kube-apiserver with our signer and our approver with a policy: a kubelet renews both certificates and stays Ready", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  await kubectl.create(controllerRbac("kubelet-serving"));
  await using signer = await startSigner(plane, "--cluster-signing-duration", LIFE);
  const policy = ["--policy", "kubelet-serving", "--inventory", await writeInventory(plane.folder, NODE)];
  await using approver = await startApprover(plane, ...policy);
  const bootstrap = await plane.kubeconfigWithToken("bootstrap", "bootstrap-token");
  await using kubelet = await startWholeKubelet(plane.folder, NODE, bootstrap);
  const [client, serving] = ["client", "server"].map((kind) => `${kubelet.certDir}/kubelet-${kind}-current.pem`);
  assert.ok(client !== undefined && serving !== undefined);
  const [firstClient, firstServing] = await Promise.all([untilChanged(client), untilChanged(serving)]);
  await untilReady(kubectl, NODE);

  // Each certificate is verified at once, before it expires. The links may already point to the next certificate, so
  // their targets are used.
  await Promise.all([
    untilChanged(client, firstClient).then((path) => assertNodePair(plane.caPath, path, NODE)),
    untilChanged(serving, firstServing).then((path) => assertChain(plane.caPath, path, "sslserver")),
  ]);
  const renewedAt = new Date();
  await untilServed(kubelet.port, serving);
  await untilLease(kubectl, NODE, renewedAt);
  assert.match(await kubectl.run("get", "nodes", "--no-headers"), new RegExp(`^${NODE} +Ready +<none> .*\n$`));
  assert.equal(kubelet.running.hasEnded(), false, kubelet.running.stderr());

  const requests: readonly CertificateSigningRequest[] =
    JSON.parse(await kubectl.run("get", "csr", "-o", "json")).items;
  for (const signerName of SIGNERS) {
    const own = requests.filter(({ spec }) =>
      spec.signerName === signerName && spec.username === `system:node:${NODE}`
    );
    assert.ok(own.length >= (signerName.endsWith("serving") ? 2 : 1), `${own.length} requests for ${signerName}`);
  }
  // Each request is different and has one certificate. A signature is logged once it is stored.
  const issued = requests.filter(({ status }) => status.certificate !== undefined).map(({ metadata }) => metadata.name);
  const signed = await eventually(`the signer logs ${issued}`, async () => {
    const names = [...signer.stderr().matchAll(/CSR signed.*?\b(csr-\w+|node-csr-[\w-]+)/g)].map(([, name]) => name);
    return issued.every((name) => names.includes(name)) ? names : undefined;
  });
  assert.equal(new Set(signed).size, signed.length, `signed twice: ${signed}`);
  assert.equal(new Set(requests.map(({ spec }) => spec.request)).size, requests.length);
  assert.doesNotMatch(signer.stderr() + approver.stderr(), /forbidden|access_denied/);
});

/** Returns the target of a link once it has changed. */
function untilChanged(link: string, before = ""): Promise<string> {
  return eventually(`${link} changes`, async () => {
    const target = await readlink(link).catch(() => "");
    return target === "" || target === before ? undefined : target;
  });
}

/** Waits until a kubelet's server uses a new certificate, a moment after it was written. */
async function untilServed(port: number, path: string): Promise<void> {
  await eventually(`the kubelet serves with ${path}`, async () => {
    const want = new X509Certificate(await readFile(path)).raw.toString("base64");
    return await readShownCertificate(port) === want ? true : undefined;
  });
}
