/** `docs/rbac/approver.yaml` is what `tlsboot approver --print-rbac` prints, and other manifests are objects of `up`. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { CERTIFICATE_VIEWER_ROLE } from "../instance/instance_rbac.ts";
import { readYaml } from "../core/lib/yaml/document.ts";
import { run } from "../cli/run.ts";
import { createCapturedIo } from "./support/captured_io.ts";

async function printRbac(...args: readonly string[]): Promise<string> {
  const io = createCapturedIo();
  assert.equal(await run(["approver", "--print-rbac", ...args], io, new AbortController().signal), 0, io.stderrText());
  return io.stdoutText();
}

test("tlsboot approver --print-rbac prints docs/rbac/approver.yaml", async () => {
  assert.equal(await printRbac(), await readFile("docs/rbac/approver.yaml", "utf8"));
});

test("tlsboot approver --print-rbac grants nodes, signers and writes only where something needs them", async () => {
  const plain = await printRbac("--leader-elect=false");
  assert.doesNotMatch(plain, /- nodes|leases|kubelet-serving/);
  const trusting = await printRbac("--policy", "kubelet-serving-trusting");
  assert.match(trusting, /- nodes\n {2}verbs:\n {2}- list\n {2}- watch\n/);
  assert.match(trusting, /- kubernetes\.io\/kube-apiserver-client-kubelet\n {2}- kubernetes\.io\/kubelet-serving\n/);
  assert.match(trusting, /namespace: default\nrules:\n- apiGroups:\n {2}- events\.k8s\.io\n/);
  const trial = await printRbac("--policy", "kubelet-serving-trusting", "--dry-run");
  assert.doesNotMatch(trial, /approval|signers|leases|configmaps/);
});

test("docs/rbac/certificates.yaml is the role of up", async () => {
  const parsed = readYaml(await readFile("docs/rbac/certificates.yaml", "utf8"));
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value, {
    ...CERTIFICATE_VIEWER_ROLE,
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
  });
});
