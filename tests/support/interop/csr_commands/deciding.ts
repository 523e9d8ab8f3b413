/** kubectl commands that end the life of a request: approve, deny, delete. */
import { csrManifest } from "../csr_manifest.ts";
import { CREATE, KIND, notFound, type Theme } from "../theme.ts";

/** certificate approve and certificate deny. */
export const deciding: Theme = {
  name: "certificate approve and deny",
  async steps() {
    const approve = (...args: string[]) => ["certificate", "approve", ...args];
    const deny = (...args: string[]) => ["certificate", "deny", ...args];
    const role = JSON.stringify({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "view-nothing" },
    });
    return [
      ...await Promise.all(
        ["a1", "a2", "a3", "a4"].map(async (name) => ({ args: CREATE, stdin: await csrManifest(name) })),
      ),
      { args: approve("a1"), stdout: `${KIND}/a1 approved\n` },
      { args: approve("a1"), stdout: `${KIND}/a1 approved\n` },
      { args: approve("a1", "--force"), stdout: `${KIND}/a1 approved\n` },
      {
        args: ["wait", "csr/a1", "--for=jsonpath={.status.certificate}", "--timeout=30s"],
        stdout: `${KIND}/a1 condition met\n`,
      },
      { args: ["get", "csr", "a1", "--no-headers"], stdout: /^a1 .* Approved,Issued\n$/ },
      {
        args: ["get", "csr", "a1", "--output=jsonpath={.status.conditions[*]['type','status','reason','message']}"],
        stdout: "Approved True KubectlApprove This CSR was approved by kubectl certificate approve.",
      },
      { args: deny("a1"), code: 1, stderr: 'error: certificate signing request "a1" is already Approved\n' },
      { args: deny("a2"), stdout: `${KIND}/a2 denied\n` },
      { args: ["get", "csr", "a2", "--no-headers"], stdout: /^a2 .* Denied\n$/ },
      { args: approve("a2"), code: 1, stderr: 'error: certificate signing request "a2" is already Denied\n' },
      {
        args: approve("a2", "--force"),
        code: 1,
        stderr: 'error: certificate signing request "a2" is already Denied\n',
      },
      { args: approve(), code: 1, stderr: "error: one or more CSRs must be specified as <name> or -f <filename>\n" },
      { args: approve("nobody"), code: 1, stderr: notFound("nobody") },
      { args: approve("nobody", "a3"), code: 1, stdout: `${KIND}/a3 approved\n`, stderr: notFound("nobody") },
      { args: approve("-f", "-"), stdin: await csrManifest("a4"), stdout: `${KIND}/a4 approved\n` },
      { args: CREATE, stdin: role },
      {
        args: approve("-f", "-"),
        stdin: role,
        code: 1,
        stderr:
          "error: can only handle CertificateSigningRequest.certificates.k8s.io objects, got ClusterRole.rbac.authorization.k8s.io\n",
      },
    ];
  },
};

/** wait and delete; empties the collection. */
export const deleting: Theme = {
  name: "wait and delete",
  async steps() {
    const labels = { theme: "deleting" };
    const names = ["d1", "d2", "d3", "d4"];
    return [
      ...await Promise.all(
        names.map(async (name) => ({ args: CREATE, stdin: await csrManifest(name, { metadata: { labels } }) })),
      ),
      {
        args: ["wait", "csr/d1", "--for=condition=Approved", "--timeout=200ms"],
        code: 1,
        stderr: "error: timed out waiting for the condition on certificatesigningrequests/d1\n",
      },
      { args: ["certificate", "approve", "d1"] },
      { args: ["wait", "csr/d1", "--for=condition=Approved", "--timeout=30s"], stdout: `${KIND}/d1 condition met\n` },
      { args: ["delete", "csr", "d1", "--dry-run=server"], stdout: `${KIND} "d1" deleted (server dry run)\n` },
      { args: ["delete", "csr", "d1"], stdout: `${KIND} "d1" deleted\n` },
      { args: ["delete", "csr", "d1"], code: 1, stderr: notFound("d1") },
      { args: ["delete", "csr", "d1", "--ignore-not-found"], stdout: "" },
      { args: ["wait", "csr/d1", "--for=delete", "--timeout=30s"], stdout: /^$|d1/, stderr: /^$|NotFound/ },
      {
        args: ["delete", "csr", "d2", "--force", "--grace-period=0"],
        stdout: `${KIND} "d2" force deleted\n`,
        stderr: /^Warning: Immediate deletion does not wait/,
      },
      { args: ["delete", "csr", "--selector=theme=deleting"], stdout: `${KIND} "d3" deleted\n${KIND} "d4" deleted\n` },
      { args: CREATE, stdin: await csrManifest("d5") },
      { args: ["delete", "csr", "--all"], stdout: /"d5" deleted\n/ },
      { args: ["get", "csr"], stderr: "No resources found\n" },
    ];
  },
};
