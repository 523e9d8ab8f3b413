/** `tlsboot revoke` and `get certificates` against a real kube-apiserver, which has neither revocations nor a register. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { spawnTlsbootToEnd } from "../support/child.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";

test("beside a kube-apiserver, revoke denies a request and deletes a token, and the commands say what else helps", async () => {
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers();
  const kubeconfig = plane.adminKubeconfig;
  const tlsboot = (...args: readonly string[]) => spawnTlsbootToEnd([...args, "--kubeconfig", kubeconfig]);
  const token = (await tlsboot("token", "create")).stdout.trim();
  const request = ["request", "--signer", "kubernetes.io/kube-apiserver-client", "--subject", "CN=alice"];
  const asked = await tlsboot(...request, "--out", plane.folder.join("alice"), "--no-wait");
  assert.equal(asked.code, 0, asked.stderr);
  const [name = ""] = (await tlsboot("get", "csr", "-o", "name")).stdout.trimEnd().split("\n").map((line) =>
    line.replace(/.*\//, "")
  );
  const { code, stdout, stderr } = await tlsboot("revoke", `csr/${name}`, `token/${token.slice(0, 6)}`, "user/alice");
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`^csr/${name} denied: [^]*\ntoken/${token.slice(0, 6)} deleted\n$`));
  assert.match(stderr, /cannot revoke "user\/alice": the server has no revocations\. .*\n.*tlsboot ca crl --revoke/);
  assert.match((await tlsboot("get", "certificates")).stderr, /does not serve tlsboot\/v1alpha1\n.*--issued-log FILE/);
  assert.match((await tlsboot("get", "csr", "-o", "wide")).stdout, /Denied/);
});
