/** `tlsboot bootstrap` takes over the CAs that a kube-apiserver publishes. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../support/child.ts";
import type { ControlPlane } from "../support/interop/control_plane.ts";
import { CA_EXTENSIONS, makeCertificate } from "../support/interop/openssl_ca.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";

/** Bootstraps a machine, and returns the command line that did it. */
async function bootstrapOnce(plane: ControlPlane): Promise<readonly string[]> {
  const { kubectl } = plane;
  await kubectl.create(await readFile("docs/rbac/bootstrap.yaml", "utf8"));
  await kubectl.run(
    ...["create", "clusterrolebinding", "interop:autoapprove", "--group=system:bootstrappers"],
    "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient",
  );
  // Beside the file of the CA is its key, so that tlsboot would not replace that file.
  const path = await plane.kubeconfigWithToken("bootstrap", "bootstrap-token");
  const embedded = `"certificate-authority-data":"${btoa(await readFile(plane.caPath, "utf8"))}"`;
  await writeFile(path, (await readFile(path, "utf8")).replace(/"certificate-authority":"[^"]*"/, embedded));
  const args = [
    ...["bootstrap", "--bootstrap-kubeconfig", path],
    ...["--kubeconfig", plane.folder.join("n1/kubeconfig"), "--cert-dir", plane.folder.join("n1/pki")],
    ...["--hostname-override", "n1"],
  ];
  await succeedTlsboot(args);
  return args;
}

/** The number of CAs in the kubeconfig of the machine. */
async function countTrusted(plane: ControlPlane): Promise<number | undefined> {
  const config = parseKubeconfig(await readFile(plane.folder.join("n1/kubeconfig"), "utf8"), "n1");
  const [entry] = config.ok ? config.value.clusters : [];
  return entry?.cluster.certificateAuthorityData?.split("BEGIN CERTIFICATE").length;
}

test("kube-apiserver 1.37: bootstrap takes over the CAs of a bundle, once and while it keeps running", async () => {
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers();
  const { kubectl } = plane;
  const args = await bootstrapOnce(plane);
  await makeCertificate(plane.folder, { name: "new", extensions: CA_EXTENSIONS });
  const publish = async (...paths: readonly string[]) => {
    const pem = (await Promise.all(paths.map((path) => readFile(path, "utf8")))).join("");
    const signerName = "kubernetes.io/kube-apiserver-serving";
    const bundle = {
      apiVersion: "certificates.k8s.io/v1",
      kind: "ClusterTrustBundle",
      metadata: { name: "kubernetes.io:kube-apiserver-serving:test" },
      spec: { signerName, trustBundle: pem },
    };
    await kubectl.given({ stdin: JSON.stringify(bundle) }).run("apply", "-f", "-");
  };
  await publish(plane.caPath, plane.folder.join("new.crt"));
  const once = await spawnTlsbootToEnd(args);
  assert.match(once.stdout, /n1\/kubeconfig: 2 CAs are trusted now \(1 new, 0 removed\)\nnothing to do: /, once.stderr);
  assert.doesNotMatch(once.stderr, /bundle/);
  assert.equal(await countTrusted(plane), 3);

  await using running = spawnTlsboot([...args, "--rotate-certificates"]);
  await running.waitFor(/^nothing to do: /m);
  await publish(plane.caPath);
  await running.waitFor(/n1\/kubeconfig: 1 CA is trusted now \(0 new, 1 removed\)/);
  await publish(plane.folder.join("new.crt"));
  await running.waitFor(/the cluster's trust bundle cannot be used, keeping the CAs as they are/);
  assert.equal(await countTrusted(plane), 2);
  assert.match(await kubectl.as(plane.folder.join("n1/kubeconfig")).run("auth", "whoami"), /system:node:n1\n/);
});
