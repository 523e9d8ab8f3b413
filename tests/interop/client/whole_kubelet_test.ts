/** A whole kubelet with `up`: certificate, node, lease and serving certificate; the newest release runs for minutes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KUBERNETES_RELEASES } from "../../support/peers/go.ts";
import { type Finished, runProgram } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { isFullRun } from "../../support/full_run.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { type Complaint, startWholeKubelet, untilReady } from "../../support/interop/whole_kubelet.ts";

const NODE = "whole";

/** Kubernetes has APIs that tlsboot does not serve; a kubelet retries them, and works without them. */
const ABSENT = /Failed to watch.* \*v1\.(RuntimeClass|CSIDriver): the server could not find/;

/** The fake runtime has no image filesystem; the kubelet also reports this with a kube-apiserver. */
const NO_IMAGES =
  /Eviction manager: .*imagefs device is not found|Image garbage collection failed .*imageFs information is unavailable/;

/** The kubelet changes the OOM score of its own process, which a sandbox may forbid. */
const NO_OOM_SCORE =
  /Failed to ensure process in container with oom score.*(failed to find pid namespace of init|failed to apply oom score)/;

/** The kubelet watches all cgroups of the machine; those of other programs may end while it adds them. */
const CGROUP_ENDED =
  /Error while processing event \("\/sys\/fs\/cgroup\/.*inotify_add_watch .*: no such file or directory/;

/**
 * A kubelet reports slow work and answers, which other programs on the machine may cause. The server's metrics show
 * real failures.
 */
const SLOW =
  /took longer than expected|context deadline exceeded|DeadlineExceeded|TLS handshake timeout|Client\.Timeout/;

/** Complaints about the API group that tlsboot serves, which must end once the kubelet has a certificate. */
const ABOUT_CERTIFICATES = /certificates\.k8s\.io|CertificateSigningRequest|ClusterTrustBundle|PodCertificateRequest/;

/** A kubelet starts its informers before it has a certificate, and lists without credentials until then. */
const WITHOUT_CERTIFICATE = /is forbidden: User \\?"system:anonymous\\?" cannot list resource/;

/** The largest number of lists per minute by a reflector that backs off for up to half a minute. */
const MAX_PER_MINUTE = 10;

/**
 * A kubelet renews its lease every ten seconds, and logs startup messages until about the third time, also with a
 * kube-apiserver. The newest release runs for a minute, or for five minutes in the full run.
 */
const [START_RENEWALS, RENEWALS] = [3, isFullRun ? 30 : 6];
const RENEWED_WITHIN_MS = 900_000;

for (const [index, release] of KUBERNETES_RELEASES.entries()) {
  test(
    `a whole kubelet ${release} becomes and stays Ready, keeps its lease, and serves with the approved certificate`,
    () => assertKubeletWorks(release, index === 0),
  );
}

async function assertKubeletWorks(release: string, isNewest: boolean): Promise<void> {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  await using kubelet = await startWholeKubelet(instance.folder, NODE, instance.bootstrapKubeconfig, release);
  const { kubectl } = instance;
  await untilReady(kubectl, NODE);
  const startedAt = new Date();
  await assertNodePair(instance.caPath, `${kubelet.certDir}/kubelet-client-current.pem`, NODE);
  const asNode = await kubectl.as(kubelet.kubeconfig).run("auth", "whoami");
  assert.match(asNode, new RegExp(`Username +system:node:${NODE}\n`));
  const serving = await findServingRequest(kubectl);
  await assertReady(kubectl, release);
  await untilRenewed(kubectl, isNewest ? START_RENEWALS : 1);
  if (isNewest) {
    const settledAt = new Date();
    await untilRenewed(kubectl, RENEWALS - START_RENEWALS);
    assertExpectedComplaints(kubelet.complaints().filter(({ at }) => at > settledAt));
  }

  assert.equal(kubelet.running.hasEnded(), false, kubelet.running.stderr());
  assert.doesNotMatch(await kubectl.run("get", "--raw", "/metrics"), /^apiserver_request_total\{.*code="(?:429|5..)"/m);
  await assertReady(kubectl, release);
  const aboutCertificates = kubelet.complaints().filter(({ text }) => ABOUT_CERTIFICATES.test(text));
  assert.deepEqual(aboutCertificates.filter(({ at, text }) => at > startedAt || !WITHOUT_CERTIFICATE.test(text)), []);
  assert.match(await kubectl.run("get", "csr", serving, "--no-headers"), / Pending\n$/);
  assert.equal(
    (await handshake(kubelet.port, instance.caPath)).code,
    1,
    "before the approval it has no valid certificate",
  );

  await kubectl.run("certificate", "approve", serving);
  await waitForCertificate(kubectl, serving);
  const address = await kubectl.run(
    ...["get", "node", NODE, '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'],
  );
  const stdout = await untilServed(kubelet.port, instance.caPath, address);
  assert.match(stdout, new RegExp(`subject=O = system:nodes, CN = system:node:${NODE}\n`));
}

/** Waits for the request for the kubelet's serving certificate, and returns its name. */
async function findServingRequest(kubectl: Kubectl): Promise<string> {
  await using watch = kubectl.start(
    ...["get", "csr", "--watch", "--output=name", "--field-selector=spec.signerName=kubernetes.io/kubelet-serving"],
  );
  const [, name = ""] = await watch.waitFor(/^certificatesigningrequest\.certificates\.k8s\.io\/(csr-\S+)$/m);
  return name;
}

async function assertReady(kubectl: Kubectl, release: string): Promise<void> {
  assert.match(
    await kubectl.run("get", "nodes", "--no-headers"),
    new RegExp(`^${NODE} +Ready +<none> .* ${release}\n$`),
  );
}

/** Waits until the lease of the node has been renewed this many times. */
async function untilRenewed(kubectl: Kubectl, times: number): Promise<void> {
  const lease = [`lease/${NODE}`, "--namespace=kube-node-lease"];
  await kubectl.run("wait", ...lease, "--for=create");
  await using watch = kubectl.start("get", ...lease, "--watch", '--output=jsonpath={.spec.renewTime}{"\\n"}');
  // The first line is the state at the start.
  await watch.waitFor(new RegExp(`^(?:\\S+\\n){${times + 1}}`), RENEWED_WITHIN_MS, "stdout");
}

/** Asserts that a kubelet complains only about known problems, and not too often about absent APIs. */
function assertExpectedComplaints(complaints: readonly Complaint[]): void {
  const texts = complaints.map(({ text }) => text);
  assert.deepEqual(
    texts.filter((text) => ![ABSENT, NO_IMAGES, NO_OOM_SCORE, CGROUP_ENDED, SLOW].some((known) => known.test(text))),
    [],
  );
  const minutes = new Map<string, number>();
  for (const { at, text } of complaints.filter(({ text }) => ABSENT.test(text))) {
    const minute = `${at.toISOString().slice(0, 16)} ${text.match(ABSENT)?.[1]}`;
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
  }
  assert.deepEqual([...minutes].filter(([, count]) => count > MAX_PER_MINUTE), []);
}

/**
 * Connects to the kubelet's server with OpenSSL, which exits with 1 if the certificate is not this instance's for this
 * address.
 */
function handshake(port: number, caPath: string, address = "127.0.0.1"): Promise<Finished> {
  return runProgram("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", caPath],
    ...["-verify_return_error", "-verify_ip", address],
  ]);
}

/** Waits until the kubelet serves with its certificate, a moment after it was issued. */
async function untilServed(port: number, caPath: string, address: string): Promise<string> {
  return await eventually("the kubelet to serve with its certificate", async () => {
    const { code, stdout } = await handshake(port, caPath, address);
    return code === 0 ? stdout : undefined;
  });
}
