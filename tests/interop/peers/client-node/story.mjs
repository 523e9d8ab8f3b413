/**
 * A typical program with @kubernetes/client-node, which speaks JSON only. Prints what it received as one JSON object
 * with a member for each step, without values that differ between runs, so that two servers can be compared.
 *
 * Usage: story.mjs KUBECONFIG REQUEST, where REQUEST is a PKCS#10 request as base64 of PEM.
 */
import { createRequire } from "node:module";
import process from "node:process";
import { steady } from "./steady.mjs";

// A checkout does not have the packages of this program, so an import would not resolve there.
const {
  ApiException,
  AuthenticationV1Api,
  AuthorizationV1Api,
  CertificatesV1Api,
  CoordinationV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
  Watch,
} = createRequire(import.meta.url)("@kubernetes/client-node");

const namespace = "default";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const [kubeconfig, request] = process.argv.slice(2);

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const certificates = config.makeApiClient(CertificatesV1Api);
const core = config.makeApiClient(CoreV1Api);
const leases = config.makeApiClient(CoordinationV1Api);
const received = {};

async function step(name, act) {
  received[name] = steady(await act());
}

/** Returns the Status of a refusal. */
async function refusal(act) {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof ApiException)) throw error;
    const body = typeof error.body === "string" ? JSON.parse(error.body) : error.body;
    return { code: error.code, body, contentType: error.headers["content-type"] };
  }
  return "was not refused";
}

/** Returns the events of a watch up to the last one. */
function watchUntil(path, query, isLast) {
  return new Promise((resolve, reject) => {
    const events = [];
    let controller;
    new Watch(config).watch(path, query, (type, object) => {
      events.push({ type, object });
      if (!isLast(type, object)) return;
      resolve(events);
      controller.abort();
    }, (error) => reject(error ?? new Error("the watch ended"))).then((opened) => controller = opened, reject);
  });
}

const withPatch = (strategy) => setHeaderOptions("Content-Type", strategy);
const csr = (name) => ({
  apiVersion: "certificates.k8s.io/v1",
  kind: "CertificateSigningRequest",
  metadata: { name, labels: { story: "node" } },
  spec: { request, signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"] },
});
const configMap = (name, data) => ({ metadata: { name, labels: { story: "node" } }, data });

async function requestsAreSigned() {
  await step("create a request", () => certificates.createCertificateSigningRequest({ body: csr("story") }));
  const listed = await certificates.listCertificateSigningRequest({ labelSelector: "story=node" });
  await step("list requests", () => listed);
  const watched = watchUntil(
    CSRS,
    { resourceVersion: listed.metadata.resourceVersion, fieldSelector: "metadata.name=story" },
    (_, object) => object.status?.certificate !== undefined,
  );
  const read = await certificates.readCertificateSigningRequest({ name: "story" });
  read.status.conditions = [{ type: "Approved", status: "True", reason: "Story", message: "by a program" }];
  await step(
    "approve it",
    () => certificates.replaceCertificateSigningRequestApproval({ name: "story", body: read }),
  );
  await step("watch it until it is signed", () => watched);
  await step("approve it with what was read before", () =>
    refusal(() => {
      read.status.conditions[0].message = "too late";
      return certificates.replaceCertificateSigningRequestApproval({ name: "story", body: read });
    }));
  await step(
    "create it again",
    () => refusal(() => certificates.createCertificateSigningRequest({ body: csr("story") })),
  );
  await step(
    "create a wrong one",
    () =>
      refusal(() =>
        certificates.createCertificateSigningRequest({
          body: { ...csr("wrong"), spec: { ...csr("").spec, usages: [] } },
        })
      ),
  );
  await step("delete it", () => certificates.deleteCertificateSigningRequest({ name: "story" }));
  await step("read it", () => refusal(() => certificates.readCertificateSigningRequest({ name: "story" })));
}

async function objectsArePatched() {
  await core.createNamespacedConfigMap({ namespace, body: configMap("story", { a: "1", b: "2" }) });
  const target = { namespace, name: "story" };
  const merge = { metadata: { annotations: { "example.com/a": "1" } }, data: { a: null, c: "3" } };
  await step(
    "merge patch",
    () => core.patchNamespacedConfigMap({ ...target, body: merge }, withPatch(PatchStrategy.MergePatch)),
  );
  const strategic = { metadata: { finalizers: ["example.com/b"] }, data: { b: "4" } };
  await step(
    "strategic merge patch",
    () => core.patchNamespacedConfigMap({ ...target, body: strategic }, withPatch(PatchStrategy.StrategicMergePatch)),
  );
  const json = [{ op: "test", path: "/data/c", value: "3" }, { op: "remove", path: "/metadata/finalizers" }];
  await step(
    "JSON patch",
    () => core.patchNamespacedConfigMap({ ...target, body: json }, withPatch(PatchStrategy.JsonPatch)),
  );
  const untrue = [{ op: "test", path: "/data/c", value: "4" }];
  await step(
    "JSON patch whose test fails",
    () => refusal(() => core.patchNamespacedConfigMap({ ...target, body: untrue }, withPatch(PatchStrategy.JsonPatch))),
  );
  await step("dry run", () => core.deleteNamespacedConfigMap({ ...target, dryRun: "All" }));
  await step("delete", () => core.deleteNamespacedConfigMap(target));
  await step("delete again", () => refusal(() => core.deleteNamespacedConfigMap(target)));
}

async function informerSees() {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const seen = [];
  const informer = makeInformer(
    config,
    path,
    () => core.listNamespacedConfigMap({ namespace, labelSelector: "story=node" }),
    "story=node",
  );
  let notify = () => {};
  for (const verb of ["add", "update", "delete"]) {
    informer.on(verb, (object) => {
      seen.push([verb, object.metadata.name, object.data?.a ?? ""]);
      notify();
    });
  }
  const until = (count) =>
    new Promise((resolve) => {
      notify = () => seen.length >= count && resolve();
      notify();
    });
  informer.on("error", (error) => seen.push(["error", String(error)]));
  await core.createNamespacedConfigMap({ namespace, body: configMap("before", { a: "1" }) });
  await informer.start();
  await until(1);
  await core.createNamespacedConfigMap({ namespace, body: configMap("after", { a: "1" }) });
  await until(2);
  await core.patchNamespacedConfigMap(
    { namespace, name: "after", body: { data: { a: "2" } } },
    withPatch(PatchStrategy.MergePatch),
  );
  await until(3);
  await core.deleteNamespacedConfigMap({ namespace, name: "before" });
  await until(4);
  await step("informer", () => ({ seen, kept: informer.list(namespace).map(({ metadata }) => metadata.name) }));
  await core.deleteNamespacedConfigMap({ namespace, name: "after" });
  await until(5);
  await informer.stop();
}

async function timesHaveMicroseconds() {
  const renewTime = new V1MicroTime("2026-01-02T03:04:05.678Z");
  const spec = { holderIdentity: "story", leaseDurationSeconds: 15, renewTime };
  await leases.createNamespacedLease({ namespace, body: { metadata: { name: "story" }, spec } });
  const lease = await leases.readNamespacedLease({ namespace, name: "story" });
  await step("lease", () => ({ ...lease.spec, renewTime: JSON.stringify(lease.spec.renewTime) }));
  await leases.deleteNamespacedLease({ namespace, name: "story" });
}

/** Uses the client without types, which finds kinds by discovery. */
async function objectsWithoutTypes() {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "story", namespace }, stringData: { a: "1" } };
  await step("create an object", () => objects.create(secret));
  await step(
    "patch an object",
    () => objects.patch({ ...secret, stringData: undefined, metadata: { ...secret.metadata, labels: { a: "1" } } }),
  );
  await step("list objects", async () => {
    const list = await objects.list("v1", "Secret", namespace, undefined, undefined, undefined, undefined, "a=1", 1);
    return list.items.map(({ metadata, data, type }) => ({ metadata, data, type }));
  });
  await step("delete an object", () => objects.delete(secret));
  await step("read an object", () => refusal(() => objects.read(secret)));
}

async function accessIsReviewed() {
  const attributes = { verb: "list", group: "certificates.k8s.io", resource: "certificatesigningrequests" };
  const review = await config.makeApiClient(AuthorizationV1Api)
    .createSelfSubjectAccessReview({ body: { spec: { resourceAttributes: attributes } } });
  await step("self access review", () => review.status.allowed);
  const { status } = await config.makeApiClient(AuthenticationV1Api)
    .createSelfSubjectReview({ body: {} });
  await step("self review", () => `${status.userInfo.username} of ${status.userInfo.groups.join(", ")}`);
}

async function unauthenticatedClientsAreRefused() {
  const cluster = config.getCurrentCluster();
  const as = (user) => {
    const other = new KubeConfig();
    other.loadFromClusterAndUser(cluster, user);
    return other.makeApiClient(CertificatesV1Api);
  };
  await step(
    "an invalid token",
    () => refusal(() => as({ name: "x", token: "wrong" }).listCertificateSigningRequest()),
  );
  await step("no credentials", () => refusal(() => as({ name: "x" }).listCertificateSigningRequest()));
}

await requestsAreSigned();
await objectsArePatched();
await informerSees();
await timesHaveMicroseconds();
await objectsWithoutTypes();
await accessIsReviewed();
await unauthenticatedClientsAreRefused();
process.stdout.write(`${JSON.stringify(received, undefined, 2)}\n`);
