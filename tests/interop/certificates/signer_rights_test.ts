/** A signer with a real kube-apiserver and only the permissions that `--print-rbac` prints. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { spawnTlsboot, succeedTlsboot } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { type Kubectl, untilAllowed, waitForCertificate } from "../../support/interop/kubectl.ts";
import { openssl } from "../../support/interop/openssl.ts";
import { type SharedControlPlane, sharedControlPlane } from "../../support/interop/shared.ts";
import { approveWebRequest, waitForFailure, writeWebProfile } from "../../support/interop/web_signer.ts";

const ACCOUNT = "tlsboot-signer.example.com.web";

let plane: SharedControlPlane;
let kubectl: Kubectl;

/** Grants a custom signer the permissions that `--print-rbac` prints, and returns its arguments. */
async function grantRights(): Promise<readonly string[]> {
  const profile = await writeWebProfile(plane.folder);
  const manifest = await succeedTlsboot(["signer", "--print-rbac", "--profile", profile]);
  await kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
  const token = (await kubectl.run("create", "token", ACCOUNT, "--namespace=kube-system")).trim();
  const kubeconfig = await plane.kubeconfigWithToken("web-signer", token);
  // These permissions are in the last cluster role and the last role.
  await untilAllowed(kubectl.as(kubeconfig), "list", "csr");
  await untilAllowed(kubectl.as(kubeconfig), "update", `leases/${ACCOUNT}`, "--namespace=kube-system");
  return ["signer", "--kubeconfig", kubeconfig, "--profile", profile, ...plane.caFlags];
}

describe("a signer with the permissions of --print-rbac", () => {
  before(async () => {
    plane = await sharedControlPlane();
    kubectl = plane.kubectl;
  });
  after(() => plane[Symbol.asyncDispose]());

  test("a custom signer issues and refuses with the permissions of --print-rbac", async () => {
    await using signer = spawnTlsboot(await grantRights());
    await approveWebRequest(kubectl, "web-1");
    const text = await openssl(["x509", "-noout", "-text"], await waitForCertificate(kubectl, "web-1"));
    assert.match(text, /Issuer: CN = kubernetes\n[^]*Subject: CN = web-1\n[^]*OCSP - URI:http:\/\/ocsp\.example\.com/);
    await approveWebRequest(kubectl, "other", { subject: "/CN=other" });
    assert.equal(await waitForFailure(kubectl, "other"), "subject common name is not allowed: other");
    // kube-apiserver publishes the CAs that it trusts, and this one is among them.
    await approveWebRequest(kubectl, "web-client", { usages: ["client auth"] });
    const why = "client auth is not allowed: the API trusts this CA for clients";
    assert.equal(await waitForFailure(kubectl, "web-client"), why);
    assert.doesNotMatch(signer.stderr(), /forbidden|cannot/i);
    assert.match(await kubectl.run("get", "lease", ACCOUNT, "--namespace=kube-system", "--output=name"), /lease/);
    // The signer releases its lease, so the next signer need not wait.
    signer.kill("SIGTERM");
    await signer.finished();
  });

  test("a custom signer that may not read which CAs the API trusts issues no client certificates", async () => {
    const command = await grantRights();
    await kubectl.run("delete", "role", "tlsboot:signer:example.com.web-client-ca", "--namespace=kube-system");
    await eventually("the permission is revoked", async () => {
      const read = ["auth", "can-i", "get", "configmap/extension-apiserver-authentication", "--namespace=kube-system"];
      const account = `--as=system:serviceaccount:kube-system:${ACCOUNT}`;
      return (await kubectl.try(...read, account)).code !== 0 || undefined;
    });
    await using signer = spawnTlsboot(command);
    await approveWebRequest(kubectl, "web-2", { usages: ["client auth"] });
    const why = "client auth is not allowed: it is unknown whether the API trusts this CA for clients";
    assert.equal(await waitForFailure(kubectl, "web-2"), why);
    await approveWebRequest(kubectl, "web-3");
    await waitForCertificate(kubectl, "web-3");
    await signer.waitFor(/cannot read which CAs the API trusts for clients.*forbidden/);
  });
});
