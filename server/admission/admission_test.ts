import assert from "node:assert/strict";
import { test } from "node:test";
import { configMapKind, localSubjectAccessReviewKind, namespaceKind, nodeKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { creation, deletion, mutateWith, update, validateWith } from "../../tests/support/admission_requests.ts";
import { createAdmission, createDefaultPlugins, createNamespaceLifecycle, taintNodesByCondition } from "./admission.ts";
import type { AdmissionPlugin } from "../registry/registry.ts";
import type { Namespace } from "../../core/kube/kinds/core_v1.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { createResources } from "../registry/resources.ts";
import { createBootstrapTokenPlugins } from "./certificates.ts";
import { createRevocationPlugins } from "../revocation/revocations.ts";

const object: KubeObject = { metadata: { name: "x" } };
const labelling = (key: string): AdmissionPlugin => ({
  name: key,
  mutate: ({ object: given }) =>
    Promise.resolve({
      object: { ...given, metadata: { ...given.metadata, labels: { ...given.metadata.labels, [key]: "" } } },
    }),
});
const refusing = (message: string): AdmissionPlugin => ({
  name: message,
  mutate: () => ({ message }),
  validate: () => ({ message }),
});

test("createAdmission() passes the object from plugin to plugin", async () => {
  const admission = createAdmission([labelling("a"), { name: "idle" }, labelling("b")]);
  const answer = await admission.mutate(creation(object));
  assert.deepEqual("object" in answer && answer.object.metadata.labels, { a: "", b: "" });
});

test("createAdmission() ends each phase at the first refusal", async () => {
  const admission = createAdmission([labelling("a"), refusing("first"), refusing("second")]);
  assert.deepEqual(await admission.mutate(creation(object)), { message: "first" });
  assert.deepEqual(await admission.validate(creation(object)), { message: "first" });
});

test("createAdmission() admits every request without plugins", async () => {
  const admission = createAdmission([]);
  assert.deepEqual(await admission.mutate(creation(object)), { object });
  assert.equal(await admission.validate(creation(object)), undefined);
});

test("createAdmission() calls a plugin only for writes of its kinds", async () => {
  const admission = createAdmission([{ ...refusing("no"), kinds: [configMapKind] }]);
  assert.deepEqual(await admission.mutate(creation(object)), { object });
  assert.equal(await admission.validate(creation(object)), undefined);
  const request = creation(object, { kind: configMapKind });
  assert.deepEqual([await admission.mutate(request), await admission.validate(request)], [
    { message: "no" },
    { message: "no" },
  ]);
});

const namespaces: Readonly<Record<string, Namespace>> = {
  here: { metadata: { name: "here" }, spec: {}, status: { phase: "Active" } },
  going: { metadata: { name: "going" }, spec: {}, status: { phase: "Terminating" } },
};
const plugin = createNamespaceLifecycle({ getNamespace: (name) => Promise.resolve(namespaces[name]) });
const inNamespace = (namespace: string) => ({ metadata: { name: "x", namespace } });

async function answerTo(request: Parameters<NonNullable<typeof plugin.mutate>>[0]): Promise<unknown> {
  try {
    return "object" in await mutateWith(plugin, request) ? "admitted" : "refused";
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return error.status;
  }
}

test("createNamespaceLifecycle() admits creations in a namespace that exists", async () => {
  assert.equal(await answerTo(creation(inNamespace("here"), { kind: configMapKind })), "admitted");
});

test("createNamespaceLifecycle() answers 404 for a missing namespace", async () => {
  assert.deepEqual(await answerTo(creation(inNamespace("gone"), { kind: configMapKind })), {
    metadata: {},
    status: "Failure",
    message: 'namespaces "gone" not found',
    reason: "NotFound",
    details: { name: "gone", kind: "namespaces" },
    code: 404,
  });
});

test("createNamespaceLifecycle() answers 500 for a name that cannot be in a path, as client-go does", async () => {
  const status = await answerTo(creation(inNamespace("a/b"), { kind: configMapKind }));
  assert.ok(typeof status === "object" && status !== null && "code" in status && "message" in status);
  assert.equal(status.code, 500);
  assert.match(String(status.message), /invalid resource name "a\/b": \[may not contain '\/'\]/);
});

test("createNamespaceLifecycle() answers 403 with its cause for a namespace that is being deleted", async () => {
  assert.deepEqual(await answerTo(creation(inNamespace("going"), { kind: configMapKind })), {
    metadata: {},
    status: "Failure",
    message:
      'configmaps "x" is forbidden: unable to create new content in namespace going because it is being terminated',
    reason: "Forbidden",
    details: {
      name: "x",
      kind: "configmaps",
      causes: [{
        reason: "NamespaceTerminating",
        message: "namespace going is being terminated",
        field: "metadata.namespace",
      }],
    },
    code: 403,
  });
});

test("createNamespaceLifecycle() admits updates, cluster-scoped objects, namespaces and access reviews", async () => {
  assert.equal(await answerTo(update(inNamespace("going"), inNamespace("going"), { kind: configMapKind })), "admitted");
  assert.equal(await answerTo(creation({ metadata: { name: "csr" } })), "admitted");
  assert.equal(await answerTo(creation({ metadata: { name: "gone" } }, { kind: namespaceKind })), "admitted");
  assert.equal(await answerTo(creation(inNamespace("gone"), { kind: localSubjectAccessReviewKind })), "admitted");
});

for (
  const { name, isRefused } of [
    { name: "default", isRefused: true },
    { name: "kube-system", isRefused: true },
    { name: "kube-public", isRefused: true },
    { name: "kube-node-lease", isRefused: false },
    { name: "here", isRefused: false },
  ]
) {
  test(`createNamespaceLifecycle() ${isRefused ? "refuses" : "admits"} the deletion of namespace ${name}`, async () => {
    const refusal = await validateWith(plugin, deletion({ metadata: { name } }, { kind: namespaceKind }));
    assert.deepEqual(refusal, isRefused ? { message: "this namespace may not be deleted" } : undefined);
    assert.equal(await validateWith(plugin, deletion({ metadata: { name } }, { kind: configMapKind })), undefined);
  });
}

const NOT_READY = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };
const node = (spec: object): KubeObject => ({ metadata: { name: "n1" }, spec, status: {} }) as KubeObject;

async function admitted(object: KubeObject): Promise<unknown> {
  const answer = await mutateWith(taintNodesByCondition, creation(object, { kind: nodeKind }));
  return "object" in answer ? answer.object : answer;
}

test("taintNodesByCondition taints a new node, after its own taints and before the fields that follow them", async () => {
  const own = { key: "a", effect: "NoExecute" };
  assert.equal(
    JSON.stringify(await admitted(node({ podCIDR: "10.0.0.0/24", taints: [own], externalID: "x" }))),
    JSON.stringify(node({ podCIDR: "10.0.0.0/24", taints: [own, NOT_READY], externalID: "x" })),
  );
});

test("taintNodesByCondition keeps a config source, and taints a node without a spec", async () => {
  const configSource = { configMap: {} };
  assert.equal(
    JSON.stringify(await admitted(node({ configSource }))),
    JSON.stringify(node({ taints: [NOT_READY], configSource })),
  );
  const bare = { metadata: { name: "n1" } };
  assert.deepEqual(await admitted(bare), { ...bare, spec: { taints: [NOT_READY] } });
});

test("taintNodesByCondition compares key and effect of every taint", async () => {
  const other = { ...NOT_READY, effect: "NoExecute" };
  assert.deepEqual(await admitted(node({ taints: [other] })), node({ taints: [other, NOT_READY] }));
  const tainted = node({ taints: [other, NOT_READY] });
  assert.equal(await admitted(tainted), tainted);
});

test("taintNodesByCondition does not change a node that has the taint, with any value", async () => {
  const tainted = node({ taints: [{ ...NOT_READY, value: "x" }] });
  assert.equal(await admitted(tainted), tainted);
});

test("taintNodesByCondition changes only creations of nodes", async () => {
  const object = node({});
  const answers = [
    await mutateWith(taintNodesByCondition, creation(object)),
    await mutateWith(taintNodesByCondition, creation(object, { kind: nodeKind, subresource: "status" })),
    await mutateWith(taintNodesByCondition, update(object, object, { kind: nodeKind })),
  ];
  for (const answer of answers) assert.deepEqual(answer, { object });
});

test("the kinds of the plugins are those of the served resources", () => {
  const unused = (): never => {
    throw new Error("not used when the kinds are listed");
  };
  const deps = {
    authorizer: { authorize: unused, rulesFor: unused },
    logger: createMemoryLogger(),
    storage: { get: unused, catchUp: unused },
    tokens: { decide: unused },
  };
  const revocations = { index: new RevocationIndex(), records: new RecordedCertificates() };
  const rbac = { objects: unused, [Symbol.dispose]: unused };
  const served = createResources({ ...deps, rbac, revocations, clientCas: unused }).map(({ kind }) => kind);
  const plugins = [
    ...createDefaultPlugins(deps),
    ...createBootstrapTokenPlugins(deps),
    ...createRevocationPlugins({ ...deps, revocations: { findForRequest: unused } }),
  ];
  assert.ok(plugins.filter(({ kinds }) => kinds !== undefined).length >= 9);
  for (const { name, kinds = [] } of plugins) assert.ok(kinds.every((kind) => served.includes(kind)), name);
});
