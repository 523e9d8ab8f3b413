/** @kubernetes/client-node, which speaks JSON only, receives the same answers from `up` as from a kube-apiserver. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";
import { succeedProgram } from "../../support/child.ts";
import { createRequest } from "../../support/interop/openssl.ts";
import { formatKubeconfig } from "../../support/interop/kubectl.ts";
import { sharedControlPlane, sharedInstance } from "../../support/interop/shared.ts";
import { npmPeerPath } from "../../support/peers/npm.ts";

/** The results of the program, by step; peers/client-node/story.mjs describes the steps. */
type Story = Readonly<Record<string, unknown>>;

/** The step that reviews the client's own identity, whose result depends on the user. */
const WHO = "self review";

/** Runs the package with its dependencies on Node 24, as its users do. */
async function play(kubeconfig: string, request: string): Promise<{ readonly who: unknown; readonly story: Story }> {
  const program = join(npmPeerPath("client-node"), "story.mjs");
  const { stdout } = await succeedProgram(await ensureNode(), [program, kubeconfig, request]);
  const { [WHO]: who, ...story } = JSON.parse(stdout) as Story;
  return { who, story };
}

test("client-node gets the same answers from up and kube-apiserver: lists, watches, approval, patches, informer, refusals", async () => {
  await using instance = await sharedInstance();
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers();
  const request = await createRequest("/CN=story");
  const ours = await play(instance.adminKubeconfig, request);
  const theirs = await play(plane.adminKubeconfig, request);
  assert.ok(Object.keys(ours.story).length >= 24, Object.keys(ours.story).join(", "));
  assert.deepEqual(ours.story, theirs.story);
  assert.equal(ours.who, "kubernetes-admin of system:masters, system:authenticated");

  // The answers are the same with a bearer token instead of a client certificate.
  const path = instance.folder.join("token.kubeconfig");
  const cluster = { server: instance.server, "certificate-authority": instance.caPath };
  await writeFile(path, formatKubeconfig(cluster, { token: "admin-token" }), { mode: 0o600 });
  const withToken = await play(path, request);
  assert.deepEqual(withToken.story, ours.story);
  assert.equal(withToken.who, "admin of system:masters, system:authenticated");
});
