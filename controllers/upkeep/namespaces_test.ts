import assert from "node:assert/strict";
import { test } from "node:test";
import { configMapKind, secretKind } from "../../core/kube/kinds/mod.ts";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap, Namespace, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import {
  createNamespaceController,
  createRootCaPublisher,
  createServiceAccountController,
  type NamespaceContent,
} from "./namespaces.ts";
import { createFailureStatus, StatusError } from "../../core/kube/status/status.ts";
import type { Reconcile } from "../engine/loop.ts";

const going: Namespace = {
  metadata: { name: "web", deletionTimestamp: "2026-01-01T00:00:00Z" },
  spec: { finalizers: ["example.com/own", "kubernetes"] },
  status: { phase: "Terminating" },
};

interface Setup {
  readonly namespace?: Namespace;
  /** The objects that remain after their collection was deleted. */
  readonly left?: Readonly<Record<string, readonly KubeObject[]>>;
  readonly failing?: string;
  /** The content of the namespace in the store: at first, and after the namespace was emptied. */
  readonly stored?: readonly (readonly { group: string; resource: string; count: number }[])[];
  readonly isActive?: boolean;
}

async function reconcileOnce(setup: Setup) {
  const { namespace = going, left = {}, failing, stored = [], isActive = false } = setup;
  const namespaces = createMemoryObjectStore<Namespace>({ objects: [namespace] });
  const emptied: string[] = [];
  const content: NamespaceContent = {
    kinds: [configMapKind, secretKind],
    deleteCollection({ plural }, name) {
      if (plural === failing) return Promise.reject(new AppError("api_error", `cannot delete ${plural}`));
      emptied.push(`${name}/${plural}`);
      return Promise.resolve();
    },
    list: ({ plural }) => Promise.resolve(left[plural] ?? []),
    stored: () => Promise.resolve(answers.shift() ?? []),
  };
  const answers = [...stored];
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const { reconcile } = createNamespaceController({
    namespaces,
    content,
    controllerManager: { isActive: () => Promise.resolve(isActive) },
    isShared: false,
    clock,
    logger: createMemoryLogger(),
  });
  const outcome = await reconcile("web", namespace, new AbortController().signal);
  const { calls } = namespaces;
  return { outcome, emptied, calls, now: namespaces.peek("web") };
}

function problems({ status }: Namespace): readonly string[] {
  return (status.conditions ?? []).filter((condition) => condition.status === "True").map(({ type }) => type);
}

test("createNamespaceController() empties a namespace, writes conditions and removes its finalizer", async () => {
  const { outcome, emptied, calls, now } = await reconcileOnce({});
  assert.deepEqual(outcome, { kind: "done" });
  assert.deepEqual(emptied, ["web/configmaps", "web/secrets"]);
  assert.deepEqual(calls, ["get web", "update web/status", "update web/finalize"]);
  assert.deepEqual(now.spec.finalizers, ["example.com/own"]);
  assert.deepEqual([now.status.conditions?.length, problems(now)], [5, []]);
});

test("createNamespaceController() does nothing for a namespace that is not being deleted, or that has been emptied", async () => {
  const { deletionTimestamp: _, ...metadata } = going.metadata;
  const active = { ...going, metadata, status: { phase: "Active" } };
  assert.deepEqual((await reconcileOnce({ namespace: active })).calls, []);
  assert.deepEqual((await reconcileOnce({ namespace: { ...going, spec: {} } })).calls, ["get web"]);
});

test("createNamespaceController() corrects the phase first", async () => {
  const { calls, now } = await reconcileOnce({ namespace: { ...going, status: { phase: "Active" } } });
  assert.deepEqual(calls.slice(0, 2), ["get web", "update web/status"]);
  assert.equal(now.status.phase, "Terminating");
});

test("createNamespaceController() waits for the finalizers of others", async () => {
  const held = { metadata: { name: "held", finalizers: ["example.com/hold"] } };
  const { outcome, now } = await reconcileOnce({ left: { secrets: [held] } });
  assert.deepEqual(outcome, { kind: "requeueAfter", ms: 8_000 });
  assert.deepEqual(now.spec.finalizers, going.spec.finalizers);
  assert.deepEqual(problems(now), ["NamespaceContentRemaining", "NamespaceFinalizersRemaining"]);
});

for (
  const { name, setup, type } of [
    {
      name: "a collection cannot be deleted",
      setup: { failing: "configmaps" },
      type: "NamespaceDeletionContentFailure",
    },
    {
      name: "an object remains that no finalizer holds",
      setup: { left: { secrets: [{ metadata: { name: "stays" } }] } },
      type: "NamespaceDeletionContentFailure",
    },
  ]
) {
  test(`createNamespaceController() retries when ${name}, and reports it`, async () => {
    const { outcome, now } = await reconcileOnce(setup);
    assert.equal(outcome.kind, "retry");
    assert.ok(problems(now).includes(type));
    assert.deepEqual(now.spec.finalizers, going.spec.finalizers);
  });
}

test("createNamespaceController() leaves a namespace to an active kube-controller-manager", async () => {
  const { outcome, emptied, calls } = await reconcileOnce({ isActive: true });
  assert.deepEqual([outcome, emptied, calls], [{ kind: "requeueAfter", ms: 15_000 }, [], ["get web"]]);
});

test("createNamespaceController() deletes nothing while the store holds objects that are not served", async () => {
  const pods = { group: "", resource: "pods", count: 3 };
  const deployments = { group: "apps", resource: "deployments", count: 1 };
  const secrets = { group: "", resource: "secrets", count: 2 };
  const { outcome, emptied, now } = await reconcileOnce({ stored: [[deployments, pods, secrets]] });
  assert.deepEqual([outcome, emptied], [{ kind: "requeueAfter", ms: 8_000 }, []]);
  assert.deepEqual(now.spec.finalizers, going.spec.finalizers);
  assert.deepEqual(problems(now), ["NamespaceContentRemaining"]);
  assert.equal(
    now.status.conditions?.find(({ type }) => type === "NamespaceContentRemaining")?.message,
    "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 3 resource instances",
  );
});

test("createNamespaceController() does not finalize over values that cannot be read and so are not served", async () => {
  const secrets = { group: "", resource: "secrets", count: 1 };
  const { outcome, emptied, now } = await reconcileOnce({ stored: [[secrets], [secrets]] });
  assert.deepEqual([outcome, emptied], [{ kind: "requeueAfter", ms: 8_000 }, ["web/configmaps", "web/secrets"]]);
  assert.deepEqual(now.spec.finalizers, going.spec.finalizers);
  assert.deepEqual(problems(now), ["NamespaceContentRemaining"]);
});

test("createNamespaceController() waits five seconds for other API servers to learn of a deletion", async () => {
  const namespaces = createMemoryObjectStore<Namespace>({ objects: [going] });
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const nothing: NamespaceContent = {
    kinds: [],
    deleteCollection: () => Promise.resolve(),
    list: () => Promise.resolve([]),
    stored: () => Promise.resolve([]),
  };
  const { reconcile } = createNamespaceController({
    namespaces,
    content: nothing,
    controllerManager: { isActive: () => Promise.resolve(false) },
    isShared: true,
    clock,
    logger: createMemoryLogger(),
  });
  const { signal } = new AbortController();
  assert.deepEqual(await reconcile("web", going, signal), { kind: "requeueAfter", ms: 5_000 });
  await clock.advance(2_000);
  assert.deepEqual(await reconcile("web", going, signal), { kind: "requeueAfter", ms: 3_000 });
  assert.deepEqual(namespaces.calls, []);
  await clock.advance(3_000);
  assert.deepEqual(await reconcile("web", going, signal), { kind: "done" });
  assert.deepEqual(namespaces.peek("web").spec.finalizers, ["example.com/own"]);
});

test("createNamespaceController() continues with other resources when one fails", async () => {
  assert.deepEqual((await reconcileOnce({ failing: "configmaps" })).emptied, ["web/secrets"]);
});

const active: Namespace = { metadata: { name: "web" }, spec: {}, status: { phase: "Active" } };
const terminating: Namespace = { ...active, status: { phase: "Terminating" } };
const LEAVING = new StatusError(
  createFailureStatus(403, "Forbidden", "it is being terminated", {
    causes: [{
      reason: "NamespaceTerminating",
      message: "namespace web is being terminated",
      field: "metadata.namespace",
    }],
  }),
);

interface Subject {
  readonly title: string;
  readonly name: string;
  make(): { readonly store: MemoryObjectStore<KubeObject>; readonly reconcile: Reconcile<Namespace> };
}

const logger = createMemoryLogger();
/** The dependencies of a publisher without an active kube-controller-manager. */
const PUBLISHER = { caPem: () => "PEM", logger, controllerManager: { isActive: () => Promise.resolve(false) } };
const SUBJECTS: readonly Subject[] = [
  {
    title: "createServiceAccountController()",
    name: "default",
    make() {
      const store = createMemoryObjectStore<ServiceAccount>();
      const { reconcile } = createServiceAccountController({ accountsIn: () => store, logger });
      return { store, reconcile };
    },
  },
  {
    title: "createRootCaPublisher()",
    name: "kube-root-ca.crt",
    make() {
      const store = createMemoryObjectStore<ConfigMap>();
      const { reconcile } = createRootCaPublisher({ ...PUBLISHER, configMapsIn: () => store });
      return { store, reconcile };
    },
  },
];
const { signal } = new AbortController();

for (const { title, name, make } of SUBJECTS) {
  test(`${title} creates what an active namespace lacks, once`, async () => {
    const { store, reconcile } = make();
    assert.deepEqual(await reconcile("web", active, signal), { kind: "done" });
    assert.equal(store.peek(name).metadata.namespace, "web");
    await reconcile("web", active, signal);
    assert.deepEqual(store.calls, [`get ${name}`, `create ${name}`, `get ${name}`]);
  });

  test(`${title} does nothing in a namespace that is being deleted or gone`, async () => {
    const { store, reconcile } = make();
    await reconcile("web", terminating, signal);
    await reconcile("web", undefined, signal);
    assert.deepEqual(store.calls, []);
  });

  test(`${title} succeeds when the namespace is deleted meanwhile`, async () => {
    for (const error of [LEAVING, new AppError("not_found", "no such namespace")]) {
      const { store, reconcile } = make();
      store.failNext("create", error);
      assert.deepEqual(await reconcile("web", active, signal), { kind: "done" });
    }
  });

  test(`${title} retries after any other refusal`, async () => {
    const { store, reconcile } = make();
    store.failNext("create", new AppError("access_denied", "not you"));
    await assert.rejects(reconcile("web", active, signal), { code: "access_denied" });
  });
}

test("createServiceAccountController() succeeds when another client was faster", async () => {
  const { store, reconcile } = SUBJECTS[0]!.make();
  store.failNext("create", new AppError("already_exists", "it is there"));
  assert.deepEqual(await reconcile("web", active, signal), { kind: "done" });
});

test("createRootCaPublisher() corrects a changed bundle, guarded by its version", async () => {
  const store = createMemoryObjectStore<ConfigMap>({
    objects: [{ metadata: { name: "kube-root-ca.crt", namespace: "web" }, data: { "ca.crt": "EVIL" } }],
  });
  const { reconcile } = createRootCaPublisher({ ...PUBLISHER, configMapsIn: () => store });
  await reconcile("web", active, signal);
  assert.deepEqual(store.peek("kube-root-ca.crt").data, { "ca.crt": "PEM" });
  assert.deepEqual(store.calls, ["get kube-root-ca.crt", "update kube-root-ca.crt"]);
});

test("createRootCaPublisher() keeps the bundle of an active kube-controller-manager", async () => {
  const store = createMemoryObjectStore<ConfigMap>({
    objects: [{ metadata: { name: "kube-root-ca.crt", namespace: "web" }, data: { "ca.crt": "THEIRS" } }],
  });
  const controllerManager = { isActive: () => Promise.resolve(true) };
  const { reconcile } = createRootCaPublisher({ ...PUBLISHER, controllerManager, configMapsIn: () => store });
  assert.deepEqual(await reconcile("web", active, signal), { kind: "requeueAfter", ms: 15_000 });
  assert.deepEqual(store.peek("kube-root-ca.crt").data, { "ca.crt": "THEIRS" });
});
