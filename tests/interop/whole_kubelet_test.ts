/** A whole kubelet lives with `up`: certificate, node, lease, serving certificate; the newest one for minutes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { KUBERNETES_RELEASES } from "../support/peers/go.ts";
import { type Finished, runProgram } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { isFullRun } from "../support/full_run.ts";
import { type Kubectl, waitForCertificate } from "../support/interop/kubectl.ts";
import { assertNodePair } from "../support/interop/openssl.ts";
import { startInstance } from "../support/interop/instance.ts";
import { type Complaint, startWholeKubelet, untilReady } from "../support/interop/whole_kubelet.ts";

const NODE = "whole";

/** Kubernetes has APIs that tlsboot does not serve; a kubelet retries and works without them. */
const ABSENT = /Failed to watch.* \*v1\.(RuntimeClass|CSIDriver): the server could not find/;

/** The runtime that runs nothing has no filesystem of images; the kubelet reports this beside a kube-apiserver too. */
const NO_IMAGES =
  /Eviction manager: .*imagefs device is not found|Image garbage collection failed .*imageFs information is unavailable/;

/** The kubelet inspects its own process here, which a sandbox may not allow. */
const NO_OOM_SCORE =
  /Failed to ensure process in container with oom score.*(failed to find pid namespace of init|failed to apply oom score)/;

/** The kubelet follows all cgroups of the machine, and those of other programs end while it adds them. */
const CGROUP_ENDED =
  /Error while processing event \("\/sys\/fs\/cgroup\/.*inotify_add_watch .*: no such file or directory/;

/**
 * A kubelet reports work and answers that took a second or more, which another program on the machine may cause. Whether
 * the server failed is read from its metrics.
 */
const SLOW =
  /took longer than expected|context deadline exceeded|DeadlineExceeded|TLS handshake timeout|Client\.Timeout/;

/** What a kubelet reports about the group that is served here, which is nothing once it has a certificate. */
const ABOUT_CERTIFICATES = /certificates\.k8s\.io|CertificateSigningRequest|ClusterTrustBundle|PodCertificateRequest/;

/** A kubelet starts its informers before its first certificate is issued, and lists without a credential until then. */
const WITHOUT_CERTIFICATE = /is forbidden: User \\?"system:anonymous\\?" cannot list resource/;

/** A reflector that backs off for up to half a minute lists at most this often in a minute. */
const MOST_PER_MINUTE = 10;

/**
 * A kubelet renews its lease every ten seconds. It logs messages of its start until about the third time, also beside a
 * kube-apiserver. The newest one lives for a minute, or for five in the full run.
 */
const [START_RENEWALS, RENEWALS] = [3, isFullRun ? 30 : 6];
const RENEWED_WITHIN_MS = 900_000;

for (const [index, release] of KUBERNETES_RELEASES.entries()) {
  test(
    `a whole kubelet ${release} is and stays Ready, keeps its lease, and serves with the certificate that is approved`,
    () => assertLives(release, index === 0),
  );
}

async function assertLives(release: string, isNewest: boolean): Promise<void> {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  await using kubelet = await startWholeKubelet(instance.folder, NODE, instance.bootstrapKubeconfig, release);
  const { kubectl } = instance;
  await untilReady(kubectl, NODE);
  const startedAt = new Date();
  await assertNodePair(instance.caPath, `${kubelet.certDir}/kubelet-client-current.pem`, NODE);
  const asNode = await kubectl.as(kubelet.kubeconfig).run("auth", "whoami");
  assert.match(asNode, new RegExp(`Username +system:node:${NODE}\n`));
  const serving = await servingRequest(kubectl);
  await assertReady(kubectl, release);
  await untilRenewed(kubectl, isNewest ? START_RENEWALS : 1);
  if (isNewest) {
    const settledAt = new Date();
    await untilRenewed(kubectl, RENEWALS - START_RENEWALS);
    assertContent(kubelet.complaints().filter(({ at }) => at > settledAt));
  }

  assert.equal(kubelet.running.hasEnded(), false, kubelet.running.stderr());
  assert.doesNotMatch(await kubectl.run("get", "--raw", "/metrics"), /^apiserver_request_total\{.*code="(?:429|5..)"/m);
  await assertReady(kubectl, release);
  const aboutCertificates = kubelet.complaints().filter(({ text }) => ABOUT_CERTIFICATES.test(text));
  assert.deepEqual(aboutCertificates.filter(({ at, text }) => at > startedAt || !WITHOUT_CERTIFICATE.test(text)), []);
  assert.match(await kubectl.run("get", "csr", serving, "--no-headers"), / Pending\n$/);
  assert.equal((await handshake(kubelet.port, instance.caPath)).code, 1, "it serves without a certificate");

  await kubectl.run("certificate", "approve", serving);
  await waitForCertificate(kubectl, serving);
  const address = await kubectl.run(
    ...["get", "node", NODE, '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'],
  );
  const stdout = await untilServed(kubelet.port, instance.caPath, address);
  assert.match(stdout, new RegExp(`subject=O = system:nodes, CN = system:node:${NODE}\n`));
}

/** The name of the request for the kubelet's own server, once it is there. */
async function servingRequest(kubectl: Kubectl): Promise<string> {
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

/** Waits until the lease of the node has been renewed so many times. */
async function untilRenewed(kubectl: Kubectl, times: number): Promise<void> {
  const lease = [`lease/${NODE}`, "--namespace=kube-node-lease"];
  await kubectl.run("wait", ...lease, "--for=create");
  await using watch = kubectl.start("get", ...lease, "--watch", '--output=jsonpath={.spec.renewTime}{"\\n"}');
  // The first line is the state at the start.
  await watch.waitFor(new RegExp(`^(?:\\S+\\n){${times + 1}}`), RENEWED_WITHIN_MS, "stdout");
}

/** Checks that a kubelet complains about absent APIs only, and not more and more often. */
function assertContent(complaints: readonly Complaint[]): void {
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
  assert.deepEqual([...minutes].filter(([, count]) => count > MOST_PER_MINUTE), []);
}

/** OpenSSL speaks to the kubelet's server and ends with 1 when the certificate is not this instance's for this address. */
function handshake(port: number, caPath: string, address = "127.0.0.1"): Promise<Finished> {
  return runProgram("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", caPath],
    ...["-verify_return_error", "-verify_ip", address],
  ]);
}

/** A kubelet uses its certificate a moment after it was issued. */
async function untilServed(port: number, caPath: string, address: string): Promise<string> {
  return await eventually("the kubelet to serve with its certificate", async () => {
    const { code, stdout } = await handshake(port, caPath, address);
    return code === 0 ? stdout : undefined;
  });
}
