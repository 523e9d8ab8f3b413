/** Tests `tlsboot signer` and `tlsboot approver` with the kubeconfig of a user who lacks permissions. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createFakeClock, createSkippingClock } from "../support/fake_clock.ts";
import { runCaptured } from "../support/run_captured.ts";
import { connectWith, describeInstance } from "../support/instance_process.ts";
import { grant } from "../support/node_requests.ts";

const CA = ["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"];

describeInstance("controllers without permissions", {}, (instance) => {
  before(async () => {
    for (const user of ["jane", "june"]) await instance.succeed("kubeconfig", "user", user);
  });

  for (
    const { command, flags, rights } of [
      {
        command: "signer",
        flags: CA,
        rights: [
          "list certificatesigningrequests.certificates.k8s.io",
          "update certificatesigningrequests/status.certificates.k8s.io",
          'sign signers.certificates.k8s.io "kubernetes.io/kube-apiserver-client" or ' +
          '"kubernetes.io/kube-apiserver-client-kubelet" or "kubernetes.io/kubelet-serving"',
          'update leases.coordination.k8s.io "tlsboot-signer" in namespace kube-system',
        ],
      },
      {
        command: "approver",
        flags: ["--leader-elect=false"],
        rights: [
          "update certificatesigningrequests/approval.certificates.k8s.io",
          'approve signers.certificates.k8s.io "kubernetes.io/kube-apiserver-client-kubelet"',
          "create subjectaccessreviews.authorization.k8s.io",
        ],
      },
    ]
  ) {
    test(`tlsboot ${command} without permissions ends and names the missing ones`, async () => {
      const clock = createSkippingClock(createFakeClock(new Date()), 1, 2_000);
      const { code, stdout, stderr } = await runCaptured(
        [command, "--kubeconfig", "jane.kubeconfig", ...flags],
        { cwd: instance.folder.path, clock },
      );
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, new RegExp(`error: tlsboot ${command} cannot work: user "jane" may not `));
      for (const right of rights) assert.equal(stderr.split(right).length, 2, `${right} once in ${stderr}`);
      assert.equal(stderr.split(" signers.certificates.k8s.io ").length, 2, stderr);
      assert.match(stderr, new RegExp(`hint: grant it what tlsboot ${command} --print-rbac prints`));
    });
  }

  test("tlsboot signer with permissions for one signer of several works, and names the missing ones", async () => {
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const group = "certificates.k8s.io";
    const rules = [
      { verbs: ["list", "watch"], apiGroups: [group], resources: ["certificatesigningrequests"] },
      { verbs: ["update"], apiGroups: [group], resources: ["certificatesigningrequests/status"] },
      { verbs: ["sign"], apiGroups: [group], resources: ["signers"], resourceNames: ["kubernetes.io/kubelet-serving"] },
    ];
    await grant(admin.api, "june", { kind: "User", name: "june" }, rules);
    await using signer = instance.start("signer", "--kubeconfig", "june.kubeconfig", "--leader-elect=false", ...CA);
    await signer.waitFor(/working for an API server/);
    await signer.waitFor(/some rights are missing.*kubernetes\.io\/kube-apiserver-client\b/);
    assert.doesNotMatch(signer.stderr(), /sign signers\.certificates\.k8s\.io \\?"kubernetes\.io\/kubelet-serving/);
  });
});
