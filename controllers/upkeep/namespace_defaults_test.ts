/** Tests the content of each namespace: its default service account and the CA bundle. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap, Namespace, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createFailureStatus, StatusError } from "../../core/kube/status/status.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import type { Reconcile } from "../engine/loop.ts";
import { createRootCaPublisher, createServiceAccountController } from "./namespace_defaults.ts";

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
/** A publisher beside which no kube-controller-manager is active. */
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
