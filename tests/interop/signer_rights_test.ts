/** A signer beside a real kube-apiserver, with the rights that `--print-rbac` prints and no others. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../support/child.ts";
import type { Kubectl } from "../support/interop/kubectl.ts";
import { openssl } from "../support/interop/openssl.ts";
import { type SharedControlPlane, sharedControlPlane } from "../support/interop/shared.ts";
import {
  approveWebRequest,
  waitForCertificate,
  waitForFailure,
  WEB_SIGNER,
  writeWebProfile,
} from "../support/interop/web_signer.ts";

const ACCOUNT = "tlsboot-signer.example.com.web";

let plane: SharedControlPlane;
let kubectl: Kubectl;

/** Asks the server for a right; `kubectl auth can-i` knows no resources that only exist in rules. */
async function mayDo(kubectl: Kubectl, resourceAttributes: Readonly<Record<string, string>>): Promise<boolean> {
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes },
  };
  const asked = kubectl.given({ stdin: JSON.stringify(review) });
  return await asked.run("create", "--validate=false", "-f", "-", "--output=jsonpath={.status.allowed}") === "true";
}

describe("a signer with the rights of --print-rbac", () => {
  before(async () => {
    plane = await sharedControlPlane();
    kubectl = plane.kubectl;
  });
  after(() => plane[Symbol.asyncDispose]());

  test("a custom signer issues and refuses with the rights of --print-rbac, and may do nothing else", async () => {
    const profile = await writeWebProfile(plane.folder);
    const manifest = await succeedTlsboot(["signer", "--print-rbac", "--profile", profile]);
    await kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
    const token = (await kubectl.run("create", "token", ACCOUNT, "--namespace=kube-system")).trim();
    const kubeconfig = await plane.kubeconfigWithToken("web-signer", token);

    await using signer = spawnTlsboot([
      ...["signer", "--kubeconfig", kubeconfig, "--profile", profile],
      ...plane.caFlags,
    ]);
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

    const itself = kubectl.as(kubeconfig);
    const group = "certificates.k8s.io";
    const namespace = "kube-system";
    const sign = { group, resource: "signers", verb: "sign" };
    assert.equal(await mayDo(itself, { ...sign, name: WEB_SIGNER }), true);
    for (
      const attributes of [
        { ...sign, name: "kubernetes.io/kubelet-serving" },
        { ...sign, name: "example.com/other" },
        { ...sign, verb: "approve", name: WEB_SIGNER },
        { group, resource: "certificatesigningrequests", subresource: "approval", verb: "update" },
        { group, resource: "certificatesigningrequests", verb: "create" },
        { group, resource: "certificatesigningrequests", verb: "delete" },
        { resource: "secrets", namespace, verb: "get" },
        { resource: "configmaps", namespace, name: "other", verb: "get" },
        { group: "coordination.k8s.io", resource: "leases", namespace, verb: "list" },
        { group: "coordination.k8s.io", resource: "leases", namespace, name: "kube-scheduler", verb: "update" },
      ]
    ) {
      assert.equal(await mayDo(itself, attributes), false, JSON.stringify(attributes));
    }
    // It gives its lease back, so that the next signer need not wait until it expires.
    signer.kill("SIGTERM");
    await signer.finished();
  });

  test("a custom signer that may not read which CAs the API trusts issues no client certificates", async () => {
    const profile = await writeWebProfile(plane.folder);
    const manifest = await spawnTlsbootToEnd(["signer", "--print-rbac", "--profile", profile]);
    await kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
    await kubectl.run("delete", "role", "tlsboot:signer:example.com.web-client-ca", "--namespace=kube-system");
    const token = (await kubectl.run("create", "token", ACCOUNT, "--namespace=kube-system")).trim();
    const kubeconfig = await plane.kubeconfigWithToken("web-signer", token);
    await using signer = spawnTlsboot([
      ...["signer", "--kubeconfig", kubeconfig, "--profile", profile],
      ...plane.caFlags,
    ]);
    await approveWebRequest(kubectl, "web-2", { usages: ["client auth"] });
    const why = "client auth is not allowed: it is unknown whether the API trusts this CA for clients";
    assert.equal(await waitForFailure(kubectl, "web-2"), why);
    await approveWebRequest(kubectl, "web-3");
    await waitForCertificate(kubectl, "web-3");
    await signer.waitFor(/cannot read which CAs the API trusts for clients.*forbidden/);
  });
});
