/**
 * Compares kube-controller-manager's approver with ours. Both approve the same requests with the same conditions,
 * except that ours holds a node's request whose subject has more than a name and groups.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { type Child, spawnTlsboot } from "../../support/child.ts";
import { controllerRbac } from "../../support/interop/controller_rbac.ts";
import type { Kubectl } from "../../support/interop/kubectl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { CASES, ENCIPHERMENT_CASES, isRefusedByApi } from "../../support/interop/signing_cases.ts";
import { createRequests, generateRequests, type SigningRequest } from "../../support/interop/signing_requests.ts";

/** Flags of kubectl that impersonate the holder of a bootstrap token. */
const BOOTSTRAP = ["--as=system:bootstrap:abcdef", "--as-group=system:bootstrappers"];

/**
 * A node, then the holder of a bootstrap token. NodeRestriction lets the node request only its own certificates. The
 * node comes first because our approver does not hold a later request with a key that the node has renewed with.
 */
const REQUESTERS = [
  { prefix: "renewal", flags: ["--as=system:node:n1", "--as-group=system:nodes"], subject: "/CN=system:node:n1" },
  { prefix: "first", flags: BOOTSTRAP, subject: "" },
] as const;

const SIGNERS: readonly string[] = [KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER];

/** Neither approver checks the requested lifetime. */
const KUBELET_CASES = [...CASES, ...ENCIPHERMENT_CASES].filter((one) =>
  SIGNERS.includes(one.signerName) && one.expirationSeconds === undefined && !isRefusedByApi(one)
);

/** More requests than an approver decides at the same time: once these are approved, all earlier ones are decided. */
const LAST_REQUESTS = 6;

/** The case that kube-controller-manager approves and our approver holds (`UnusualSubject`). */
const HELD = "kubelet client, more in the subject";

/** Returns the conditions of every request without their times, by name. */
async function collectDecisions(
  approver: Child,
  requests: readonly SigningRequest[],
  kubectl: Kubectl,
): Promise<ReadonlyMap<string, unknown>> {
  await using _approver = approver;
  for (const { prefix, flags, subject } of REQUESTERS) {
    const selected = requests.filter((one) => one.subject.includes(subject));
    await createRequests(kubectl, selected.map((one) => ({ ...one, csr: `${prefix}-${one.csr}` })), ...flags);
    for (let count = 0; count < LAST_REQUESTS; count++) {
      const csr = `last-${prefix}-${count}`;
      await createRequests(kubectl, [{ ...requests[0]!, csr }], ...BOOTSTRAP);
      await kubectl.run("wait", `csr/${csr}`, "--for=condition=Approved");
    }
  }
  const { items }: { readonly items: readonly CertificateSigningRequest[] } = JSON.parse(
    await kubectl.run("get", "csr", "-o", "json"),
  );
  await kubectl.run("delete", "--raw", "/apis/certificates.k8s.io/v1/certificatesigningrequests");
  return new Map(items.map(({ metadata, status }) => {
    const conditions = status.conditions?.map(({ lastUpdateTime: _u, lastTransitionTime: _t, ...rest }) => rest);
    return [metadata.name ?? "", conditions];
  }));
}

test("kube-controller-manager and our approver approve the same requests, whatever the key and the usages", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  await kubectl.create(controllerRbac());
  const requests = await generateRequests(plane.folder, KUBELET_CASES);

  const approving = ["certificatesigningrequest-approving-controller"];
  const unlimited = ["--kube-api-qps=1000", "--kube-api-burst=1000"];
  const theirs = await collectDecisions(plane.startControllers(approving, unlimited), requests, kubectl);
  const approverArgs = ["approver", "--kubeconfig", plane.adminKubeconfig, "--leader-elect=false"];
  const ours = await collectDecisions(spawnTlsboot(approverArgs), requests, kubectl);
  const titles = new Map(requests.map(({ csr, name }) => [csr, name]));
  for (const [name, conditions] of theirs) {
    const title = titles.get(name.replace(/^[a-z]+-/, ""));
    if (title === HELD) assert.notEqual(conditions, undefined, `${name}: kube-controller-manager approves it`);
    assert.deepEqual(ours.get(name), title === HELD ? undefined : conditions, `${name}: ${title}`);
  }
  for (const { prefix } of REQUESTERS) {
    const approved = [...theirs].filter(([name, conditions]) => name.startsWith(prefix) && conditions !== undefined);
    // Every key with both lists of usages, and the cases that break no rule of a client certificate.
    assert.ok(approved.length >= 14, `${approved.length} requests are approved`);
    assert.ok(approved.length < requests.length / 2, `${approved.length} of ${requests.length} are approved`);
  }
});
