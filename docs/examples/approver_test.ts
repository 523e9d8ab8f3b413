/** Tests a controller against a real API server, which starts in memory in well under a second. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { connectToCluster, generatePrivateKey, KUBE_APISERVER_CLIENT_SIGNER, startTestServer } from "@tlsboot/tlsboot";
import { runApprover } from "./approver.ts";

test("the approver approves a request whose name begins with web-", async () => {
  await using server = await startTestServer({ without: ["approver"] });
  await writeFile("admin.kubeconfig", server.kubeconfig, { mode: 0o600 });
  await using cluster = await connectToCluster("admin.kubeconfig");
  const stop = new AbortController();
  const running = runApprover(cluster, stop.signal);
  const key = await generatePrivateKey("ecdsa-p256");
  const request = { key, subject: { commonName: "web" }, signerName: KUBE_APISERVER_CLIENT_SIGNER };
  assert.match(await cluster.requestCertificate({ ...request, name: { fixed: "web-1" } }), /BEGIN CERTIFICATE/);
  stop.abort();
  await running;
});
