/** A stock client-go program with the certificate manager bootstraps and rotates against `up`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KUBERNETES_RELEASES, peerPath } from "../../support/peers/go.ts";
import { succeedProgram } from "../../support/child.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { startInstance } from "../../support/interop/instance.ts";

for (const release of KUBERNETES_RELEASES) {
  test(`the certificate manager of client-go ${release} bootstraps with a token and rotates twice with its own certificate`, async () => {
    // Certificates are backdated by five minutes, so more than 90 % of a lifetime of 30 s is over from the start, and
    // the certificate is rotated at once.
    await using instance = await startInstance({ args: ["--auto-approve", "--cluster-signing-duration", "30s"] });
    const { stdout } = await succeedProgram(peerPath("certmanager", release), [
      ...[`-bootstrap-kubeconfig=${instance.bootstrapKubeconfig}`, `-cert-dir=${instance.folder.join("pki")}`],
      ...["-node=n1", "-certificates=3", "-timeout=180s"],
    ]);
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 3, stdout);
    for (const [index, line] of lines.entries()) {
      assert.match(line, new RegExp(`^certificate ${index + 1} system:node:n1 [0-9a-f]{16}$`));
    }
    assert.equal(new Set(lines.map((line) => line.split(" ").at(-1))).size, 3);
    // The program has ended, and the certificate may have expired.
    const pair = instance.folder.join("pki", "kubelet-client-current.pem");
    await assertNodePair(instance.caPath, pair, "n1", "-no_check_time");

    const requesters = await instance.kubectl.run(
      ...[
        "get",
        "csr",
        "--sort-by=.metadata.creationTimestamp",
        '--output=jsonpath={range .items[*]}{.spec.username}{" "}{.status.conditions[0].message}{"\\n"}{end}',
      ],
    );
    const [first = "", ...rotations] = requesters.trim().split("\n");
    assert.match(
      first,
      /^system:bootstrap:[a-z0-9]{6} Auto approving kubelet client certificate after SubjectAccessReview\.$/,
    );
    for (const rotation of rotations.slice(0, 2)) {
      assert.equal(
        rotation,
        "system:node:n1 Auto approving self kubelet client certificate after SubjectAccessReview.",
      );
    }
    assert.ok(rotations.length >= 2, requesters);
  });
}
