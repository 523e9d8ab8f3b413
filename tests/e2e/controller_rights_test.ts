/** `tlsboot signer` and `tlsboot approver` with the kubeconfig of a user who lacks permissions. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { startTlsboot } from "../support/child.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { createImpatientClock } from "../support/impatient_clock.ts";
import { runCaptured } from "../support/run_captured.ts";
import { connectWith, type Instance, startInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const quiet = new AbortController().signal;
let folder: TempFolder;
let instance: Instance;
let jane: string;
let caFlags: readonly string[];

before(async () => {
  folder = await createTempFolder();
  instance = await startInstance(folder);
  jane = folder.join("jane.kubeconfig");
  caFlags = [
    ...["--cluster-signing-cert-file", `${instance.data}/pki/ca.crt`],
    ...["--cluster-signing-key-file", `${instance.data}/pki/ca.key`],
  ];
  const made = await runCaptured(
    ["kubeconfig", "user", "jane", "--data-dir", instance.data, "--out", jane],
    { cwd: folder.path, clock: createSystemClock() },
  );
  assert.equal(made.code, 0, made.stderr);
});

after(async () => {
  await instance[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

for (
  const { command, flags, rights } of [
    {
      command: "signer",
      flags: () => caFlags,
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
      flags: () => ["--leader-elect=false"],
      rights: [
        "update certificatesigningrequests/approval.certificates.k8s.io",
        'approve signers.certificates.k8s.io "kubernetes.io/kube-apiserver-client-kubelet"',
        "create subjectaccessreviews.authorization.k8s.io",
      ],
    },
  ]
) {
  test(`tlsboot ${command} without permissions ends and names the missing ones`, async () => {
    const clock = createImpatientClock(createFakeClock(new Date()), 1, 2_000);
    const { code, stdout, stderr } = await runCaptured(
      [command, "--kubeconfig", jane, ...flags()],
      { cwd: folder.path, clock },
    );
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.match(stderr, new RegExp(`error: tlsboot ${command} cannot work: user "jane" may not `));
    for (const right of rights) assert.equal(stderr.split(right).length, 2, `${right} once in ${stderr}`);
    assert.equal(stderr.split(" signers.certificates.k8s.io ").length, 2, stderr);
    assert.match(stderr, new RegExp(`hint: grant it what tlsboot ${command} --print-rbac prints`));
  });
}

test("tlsboot signer with permissions for one signer of several works, and names the missing ones", async () => {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const group = "certificates.k8s.io";
  const rules = [
    { verbs: ["list", "watch"], apiGroups: [group], resources: ["certificatesigningrequests"] },
    { verbs: ["update"], apiGroups: [group], resources: ["certificatesigningrequests/status"] },
    { verbs: ["sign"], apiGroups: [group], resources: ["signers"], resourceNames: ["kubernetes.io/kubelet-serving"] },
  ];
  const post = (path: string, body: object) => admin.api.requestJson({ method: "POST", path, body }, quiet);
  await post(`${rbac}/clusterroles`, { metadata: { name: "jane" }, rules });
  await post(`${rbac}/clusterrolebindings`, {
    metadata: { name: "jane" },
    subjects: [{ kind: "User", name: "jane" }],
    roleRef: { kind: "ClusterRole", name: "jane", apiGroup: "rbac.authorization.k8s.io" },
  });
  await using signer = startTlsboot(["signer", "--kubeconfig", jane, "--leader-elect=false", ...caFlags], {
    cwd: folder.path,
  });
  await signer.waitFor(/working for an API server/);
  assert.match(signer.stderr(), /some rights are missing.*kubernetes\.io\/kube-apiserver-client\b/);
  assert.doesNotMatch(signer.stderr(), /sign signers\.certificates\.k8s\.io \\?"kubernetes\.io\/kubelet-serving/);
});
