/** `tlsboot bootstrap` on a machine whose cluster replaces a CA, against `tlsboot up`. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../../core/kube/certificates_v1.ts";
import { parseCaBundle } from "../../core/pki/ca_bundle.ts";
import type { TrustReport } from "../../core/kube/tlsboot_v1alpha1.ts";
import type { ApiClient } from "../../client/objects/api.ts";
import { runTlsboot, startTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { connectWith, startInstanceProcess } from "../support/instance_process.ts";
import { createIssuingCa } from "../support/issuing_ca.ts";
import { createTempFolder } from "../support/temp.ts";

const BUNDLES = "/apis/certificates.k8s.io/v1/clustertrustbundles";
const { signal } = new AbortController();

/** Asks all nodes to renew the certificates of a CA, from now on. */
async function retire(api: ApiClient, keyId: string): Promise<void> {
  const [bundle] = await eventually("a bundle", async () => {
    const { items } = await api.requestList<ClusterTrustBundle>({ method: "GET", path: BUNDLES }, signal);
    return items.length === 0 ? undefined : items;
  });
  const now = new Date();
  const annotations = {
    "tlsboot/retiring-ca": keyId,
    "tlsboot/renew-from": now.toISOString(),
    "tlsboot/renew-by": new Date(now.getTime() + 500).toISOString(),
  };
  await api.requestJson({
    method: "PATCH",
    path: `${BUNDLES}/${bundle?.metadata.name}`,
    contentType: "application/merge-patch+json",
    body: { metadata: { annotations } },
  }, signal);
}

test("bootstrap renews early and once while its CA is being replaced, takes over the cluster's CAs, and reports them", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startInstanceProcess(folder, ["--auto-approve"]);
  const bootstrap = (name: string) => [
    ...["bootstrap", "--bootstrap-kubeconfig", folder.join("data/bootstrap.kubeconfig"), "--hostname-override", name],
    ...["--kubeconfig", folder.join(`${name}/kubeconfig`), "--cert-dir", folder.join(`${name}/pki`)],
  ];
  const once = (name: string) => runTlsboot(bootstrap(name), { cwd: folder.path });
  await using admin = await connectWith(folder.join("data/admin.kubeconfig"));
  const caPem = await readFile(folder.join("data/pki/ca.crt"), "utf8");
  const report = async (name: string): Promise<readonly string[] | undefined> => {
    const path = "/apis/tlsboot/v1alpha1/trustreports";
    const { items } = await admin.api.requestList<TrustReport>({ method: "GET", path }, signal);
    return items.find(({ status }) => status.username === `system:node:${name}`)?.spec.trusted;
  };
  const fingerprint = new X509Certificate(caPem).fingerprint256.replaceAll(":", "").toLowerCase();

  await using rotating = startTlsboot([...bootstrap("n1"), "--rotate-certificates"], { cwd: folder.path });
  await rotating.waitFor(/kubeconfig: n1\/kubeconfig/);
  assert.deepEqual(await eventually("a report of n1", () => report("n1")), [fingerprint]);

  // A machine that trusts one CA too many, as one that missed the end of a rotation.
  assert.equal((await once("n2")).code, 0);
  const path = folder.join("n2/kubeconfig");
  const published = await readFile(path, "utf8");
  const more = btoa(caPem + (await createIssuingCa(new Date())).caPem);
  await writeFile(path, published.replace(/(certificate-authority-data: )\S+/, `$1${more}`), { mode: 0o600 });
  const updated = await once("n2");
  assert.match(
    updated.stdout,
    /^n2\/kubeconfig: 1 CA is trusted now \(0 new, 1 removed\)\nnothing to do: n2\/kubeconfig of /,
    updated.stderr,
  );
  assert.equal(await readFile(path, "utf8"), published);
  assert.deepEqual(await report("n2"), [fingerprint]);

  const leaf = new X509Certificate(await readFile(folder.join("n1/pki/kubelet-client-current.pem")));
  const serials = new Set([leaf.serialNumber]);
  const ca = parseCaBundle(caPem);
  await retire(admin.api, ca.ok ? ca.value[0]?.subjectKeyId ?? "" : "");
  await rotating.waitFor(/certificate renewed, valid until/);
  serials.add(new X509Certificate(await readFile(folder.join("n1/pki/kubelet-client-current.pem"))).serialNumber);
  assert.equal(serials.size, 2);
  assert.match((await once("n2")).stdout, /^certificate renewed, valid until \S+\n$/);
  assert.equal(rotating.stdout().match(/certificate renewed/g)?.length, 1);
  assert.equal(rotating.stderr().includes("WARN"), false, rotating.stderr());
});
