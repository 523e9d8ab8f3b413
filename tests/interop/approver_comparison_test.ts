/**
 * The same requests before kube-controller-manager's approver and before ours: both approve the same ones with the same
 * words, except that ours leaves a node's subject with more than a name and groups to a person.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../core/kube/kinds/certificates_v1.ts";
import { type Child, spawnTlsboot } from "../support/child.ts";
import { controllerRbac } from "../support/interop/controller_rbac.ts";
import type { Kubectl } from "../support/interop/kubectl.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";
import { CASES, CASES_OF_ENCIPHERMENT, isOnlyStored } from "../support/interop/signing_cases.ts";
import { createRequests, makeRequests, type SigningRequest } from "../support/interop/signing_requests.ts";

/** The holder of a bootstrap token. */
const BOOTSTRAP = ["--as=system:bootstrap:abcdef", "--as-group=system:bootstrappers"];

/**
 * A node, and a user of any node's certificate. The node comes first: NodeRestriction lets it request its own certificates
 * only, and a key that it has renewed with is its own, so our approver does not hold a request of the other with this key.
 */
const REQUESTERS = [
  { prefix: "renewal", flags: ["--as=system:node:n1", "--as-group=system:nodes"], subject: "/CN=system:node:n1" },
  { prefix: "first", flags: BOOTSTRAP, subject: "" },
] as const;

const SIGNERS: readonly string[] = [KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER];

/** Neither approver looks at the requested lifetime. */
const KUBELET_CASES = [...CASES, ...CASES_OF_ENCIPHERMENT].filter((one) =>
  SIGNERS.includes(one.signerName) && one.expirationSeconds === undefined && !isOnlyStored(one)
);

/** How many requests are more than an approver works on at a time: once they are approved, all before them are decided. */
const LAST = 6;

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
    const own = requests.filter((one) => one.subject.includes(subject));
    await createRequests(kubectl, own.map((one) => ({ ...one, csr: `${prefix}-${one.csr}` })), ...flags);
    for (let count = 0; count < LAST; count++) {
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
  const requests = await makeRequests(plane.folder, KUBELET_CASES);

  const approving = ["certificatesigningrequest-approving-controller"];
  const unlimited = ["--kube-api-qps=1000", "--kube-api-burst=1000"];
  const theirs = await collectDecisions(plane.startControllers(approving, unlimited), requests, kubectl);
  const alone = ["approver", "--kubeconfig", plane.adminKubeconfig, "--leader-elect=false"];
  const ours = await collectDecisions(spawnTlsboot(alone), requests, kubectl);
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
