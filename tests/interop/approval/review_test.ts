/** `tlsboot approve -i` on a real terminal, with tlsboot's server and with Kubernetes' own. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { start, tlsbootCommand } from "../../support/child.ts";
import { type Cluster, CLUSTERS } from "../../support/interop/clusters.ts";
import { waitForCertificate } from "../../support/interop/kubectl.ts";
import { buildCsr, type CsrOptions } from "../../support/csr_builder.ts";
import { shellWord } from "../../../core/lib/printable.ts";

/** Returns the options of a person's request for a client certificate. */
function personRequest(name: string, organizations: readonly string[]): CsrOptions {
  return {
    name,
    signerName: "kubernetes.io/kube-apiserver-client",
    commonName: name,
    organizations,
    usages: ["client auth"],
    expirationSeconds: 86_400,
  };
}

for (const [name, startCluster] of CLUSTERS) {
  describe(name, () => {
    let cluster: Cluster;
    before(async () => void (cluster = await startCluster()));
    after(() => cluster[Symbol.asyncDispose]());

    async function submit(options: CsrOptions): Promise<void> {
      const { apiVersion, kind, metadata, spec: { request, signerName, usages, expirationSeconds } } = await buildCsr(
        options,
      );
      const spec = { request, signerName, usages, expirationSeconds };
      await cluster.kubectl.create(JSON.stringify({ apiVersion, kind, metadata, spec }));
    }

    test("tlsboot approve -i prompts on a terminal, and the signer issues approved certificates", async () => {
      await submit(personRequest("alice", ["developers"]));
      await submit({ ...personRequest("mallory", []), keyAlgorithm: "ecdsa-p384" });
      await cluster.kubectl.run(
        ...["create", "clusterrolebinding", "mallory", "--clusterrole=cluster-admin", "--user=mallory"],
      );
      const [command, args] = tlsbootCommand(["approve", "-i", "--kubeconfig", cluster.adminKubeconfig]);
      const commandLine = [command, ...args].map(shellWord).join(" ");
      await using terminal = start(
        "script",
        ["--quiet", "--return", "--flush", "--command", commandLine, "/dev/null"],
        {
          cwd: cluster.folder.path,
          env: { TERM: "xterm-256color", NO_COLOR: "" },
          stdin: "w\ny\nn\nNot for mallory.\n",
        },
      );
      const { code, stdout } = await terminal.finished();
      assert.equal(code, 0, stdout);
      const text = stdout.replaceAll("\r\n", "\n");
      assert.match(
        text,
        // deno-lint-ignore no-control-regex -- a terminal gets colours
        /Request 1 of 2: alice, [^]*\n\x1b\[1mUser (?:kubernetes-)?admin asks for a client certificate for user alice in the/,
      );
      assert.match(text, /\nVerdict: +left pending: /);
      assert.match(text, /approved: alice\n/);
      assert.match(
        text,
        // deno-lint-ignore no-control-regex -- a terminal gets colours
        /Request 2 of 2: mallory, [^]*\n\x1b\[33mWarning: roles already let this user or one of the groups do everything at the API/,
      );
      assert.match(text, /denied: mallory\n\n1 approved, 1 denied\n$/);
      await waitForCertificate(cluster.kubectl, "alice");
      assert.match(
        await cluster.kubectl.run("get", "csr", "mallory", "-o", "jsonpath={.status.conditions[0].message}"),
        /^Not for mallory\. \(denied by user "(kubernetes-)?admin" with tlsboot approve -i\)$/,
      );
    });
  });
}
