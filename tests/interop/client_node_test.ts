/** @kubernetes/client-node, which speaks JSON only, receives the same answers from `up` as from a kube-apiserver. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { tellStory, WHO, withoutWho } from "../support/interop/client_node.ts";
import { createRequest } from "../support/interop/csr_manifest.ts";
import type { RunningInstance } from "../support/interop/instance.ts";
import { sharedControlPlane, sharedInstance } from "../support/interop/shared.ts";

test("client-node gets the same answers from up and kube-apiserver: lists, watches, approval, patches, informer, refusals", async () => {
  await using instance = await sharedInstance();
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers();
  const request = await createRequest("/CN=story");
  const ours = await tellStory(instance.adminKubeconfig, request);
  const theirs = await tellStory(plane.adminKubeconfig, request);
  assert.ok(Object.keys(ours).length >= 25, Object.keys(ours).join(", "));
  assert.deepEqual(withoutWho(ours), withoutWho(theirs));
  assert.equal(ours[WHO], "kubernetes-admin of system:masters, system:authenticated");
});

test("client-node gets the same answers with a bearer token as with a client certificate", async () => {
  await using instance = await sharedInstance();
  const request = await createRequest("/CN=story");
  const withToken = await tellStory(await tokenKubeconfig(instance, "admin-token"), request);
  const withCertificate = await tellStory(instance.adminKubeconfig, request);
  assert.deepEqual(withoutWho(withToken), withoutWho(withCertificate));
  assert.equal(withToken[WHO], "admin of system:masters, system:authenticated");
});

async function tokenKubeconfig(instance: RunningInstance, token: string): Promise<string> {
  const path = instance.folder.join("token.kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "instance", cluster: { server: instance.server, "certificate-authority": instance.caPath } }],
    users: [{ name: "token", user: { token } }],
    contexts: [{ name: "instance", context: { cluster: "instance", user: "token" } }],
    "current-context": "instance",
  };
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
