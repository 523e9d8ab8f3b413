import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { encodeClusterInfo } from "../../core/token/cluster_info.ts";
import { createTokenSecret } from "../../core/token/token_secret.ts";
import { Secret } from "../../core/lib/brand.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { buildPodRequest } from "../../tests/support/pod_request_builder.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";
import { TRUST_ANCHOR } from "../../tests/support/trust_anchor.ts";
import { type ClusterSettings, createAggregator, runClusterControllers } from "./cluster_controllers.ts";
import { ensureClusterInfo } from "../joining.ts";
import { AppError } from "../../core/errors.ts";
import type { ClusterRole, PolicyRule } from "../../core/kube/kinds/rbac_v1.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { runController } from "../../controllers/mod.ts";

const CLUSTER = {
  server: "https://192.0.2.1:6443",
  caPem: TRUST_ANCHOR,
};

const TRUST = {
  content: () => ({ trustBundle: CLUSTER.caPem }),
  onChange: () => ({ [Symbol.dispose]: () => undefined }),
};

/** Runs the controllers over the whole API in memory, with their own users and only the default roles. */
async function withControllers(
  run: (app: TestApp) => Promise<void>,
  settings: Partial<Pick<ClusterSettings, "contents" | "trust">> = {},
): Promise<void> {
  await using app = await createTestApp();
  const deps = { clock: app.clock, logger: app.logger, random: createSeededRandom() };
  const abort = new AbortController();
  await ensureClusterInfo({ server: app.api, isShared: false }, CLUSTER, deps, abort.signal);
  const running = runClusterControllers(
    app.api,
    { trust: TRUST, storage: app.storage, ...settings },
    deps,
    abort.signal,
  );
  await rest();
  try {
    await run(app);
    assert.deepEqual(app.logger.messages("error"), []);
  } finally {
    abort.abort(new Error("the test is over"));
    await running;
  }
}

/** Waits for several requests, each of which takes some turns of the event loop. */
const rest = () => settle(300);

test("runClusterControllers() fills every namespace, and restores an object that is removed", async () => {
  await withControllers(async (app) => {
    await app.send("POST", "/api/v1/namespaces", { body: { metadata: { name: "web" } } });
    await rest();
    for (const namespace of ["default", "kube-system", "web"]) {
      assert.equal((await app.send("GET", `/api/v1/namespaces/${namespace}/serviceaccounts/default`)).code, 200);
      const bundle = await app.send("GET", `/api/v1/namespaces/${namespace}/configmaps/kube-root-ca.crt`);
      assert.equal(bundle.at("data/ca.crt"), CLUSTER.caPem);
    }
    await app.send("DELETE", "/api/v1/namespaces/web/serviceaccounts/default");
    await app.send("PUT", "/api/v1/namespaces/web/configmaps/kube-root-ca.crt", {
      body: { metadata: { name: "kube-root-ca.crt" }, data: { "ca.crt": "EVIL" } },
    });
    await rest();
    assert.equal((await app.send("GET", "/api/v1/namespaces/web/serviceaccounts/default")).code, 200);
    const restored = await app.send("GET", "/api/v1/namespaces/web/configmaps/kube-root-ca.crt");
    assert.equal(restored.at("data/ca.crt"), CLUSTER.caPem);
  });
});

test("runClusterControllers() publishes changed CAs in every namespace, also while namespaces cannot be listed", async () => {
  let { caPem } = CLUSTER;
  let report = (): void => {};
  const trust = {
    content: () => ({ trustBundle: caPem }),
    onChange(listener: () => void) {
      report = listener;
      return TRUST.onChange();
    },
  };
  await withControllers(async (app) => {
    const list = app.storage.list.bind(app.storage);
    app.storage.list = (prefix, options) =>
      prefix === "/registry/namespaces/"
        ? Promise.reject(new AppError("unreachable", "cannot reach etcd"))
        : list(prefix, options);
    caPem += TRUST_ANCHOR;
    report();
    await rest();
    for (const namespace of ["default", "kube-system"]) {
      const bundle = await app.send("GET", `/api/v1/namespaces/${namespace}/configmaps/kube-root-ca.crt`);
      assert.equal(bundle.at("data/ca.crt"), caPem);
    }
  }, { trust });
});

const BUNDLES = "/apis/certificates.k8s.io/v1/clustertrustbundles";

test("runClusterControllers() publishes the CA as the trust bundle of the API server, and deletes that of an earlier CA", async () => {
  await withControllers(async (app) => {
    const signerName = "kubernetes.io/kube-apiserver-serving";
    const hash = createHash("sha256").update(CLUSTER.caPem).digest("hex").slice(0, 24);
    const name = `kubernetes.io:kube-apiserver-serving:${hash}`;
    const spec = { signerName, trustBundle: CLUSTER.caPem };
    const earlier = { metadata: { name: "kubernetes.io:kube-apiserver-serving:earlier" }, spec };
    const unlinked = { metadata: { name: "unlinked" }, spec: { trustBundle: CLUSTER.caPem } };
    for (const body of [earlier, unlinked]) assert.equal((await app.send("POST", BUNDLES, { body })).code, 201);
    await rest();
    assert.deepEqual((await app.send("GET", BUNDLES)).names(), [name, "unlinked"]);
    assert.deepEqual((await app.send("GET", `${BUNDLES}/${name}`)).at("spec"), spec);
    await app.send("DELETE", `${BUNDLES}/${name}`);
    await rest();
    assert.deepEqual((await app.send("GET", BUNDLES)).names(), [name, "unlinked"]);
  });
});

test("runClusterControllers() empties a namespace that is deleted, and nothing else", async () => {
  await withControllers(async (app) => {
    for (const name of ["going", "staying"]) {
      await app.send("POST", "/api/v1/namespaces", { body: { metadata: { name } } });
      for (const plural of ["configmaps", "secrets"]) {
        await app.send("POST", `/api/v1/namespaces/${name}/${plural}`, { body: { metadata: { name: "inside" } } });
      }
      await app.send("POST", `/apis/coordination.k8s.io/v1/namespaces/${name}/leases`, {
        body: { metadata: { name: "l" } },
      });
    }
    await rest();
    assert.equal((await app.send("DELETE", "/api/v1/namespaces/going")).code, 200);
    await rest();
    assert.equal((await app.send("GET", "/api/v1/namespaces/going")).code, 404);
    for (
      const path of [
        "/api/v1/secrets",
        "/api/v1/configmaps",
        "/apis/coordination.k8s.io/v1/leases",
        "/api/v1/serviceaccounts",
      ]
    ) {
      const list = await app.send("GET", `${path}?fieldSelector=metadata.namespace%3Dgoing`);
      assert.deepEqual(list.names(), [], path);
    }
    assert.equal((await app.send("GET", "/api/v1/namespaces/staying/secrets/inside")).code, 200);
  });
});

test("runClusterControllers() waits for objects with a foreign finalizer, and reports them", async () => {
  await withControllers(async (app) => {
    await app.send("POST", "/api/v1/namespaces", { body: { metadata: { name: "held" } } });
    const body = { metadata: { name: "kept", finalizers: ["example.com/hold"] } };
    await app.send("POST", "/api/v1/namespaces/held/configmaps", { body });
    await app.send("DELETE", "/api/v1/namespaces/held");
    await rest();
    const waiting = await app.send("GET", "/api/v1/namespaces/held");
    assert.match(waiting.text, /example\.com\/hold in 1 resource instances/);
    const headers = { "content-type": "application/merge-patch+json" };
    await app.send("PATCH", "/api/v1/namespaces/held/configmaps/kept", {
      headers,
      body: { metadata: { finalizers: null } },
    });
    await app.clock.advance(8_000);
    await rest();
    assert.equal((await app.send("GET", "/api/v1/namespaces/held")).code, 404);
  });
});

test("ensureClusterInfo() of servers that start at the same moment publishes once, and again when the bundle changes", async () => {
  await using app = await createTestApp();
  const deps = { clock: app.clock, logger: app.logger, random: createSeededRandom() };
  const publish = (cluster: typeof CLUSTER) =>
    ensureClusterInfo({ server: app.api, isShared: true }, cluster, deps, new AbortController().signal);
  const path = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
  for (const caPem of [CLUSTER.caPem, CLUSTER.caPem + CLUSTER.caPem]) {
    const cluster = { ...CLUSTER, caPem };
    await Promise.all([publish(cluster), publish(cluster)]);
    assert.equal((await app.send("GET", path)).at("data/kubeconfig"), encodeClusterInfo(cluster));
  }
  assert.deepEqual(app.logger.messages("info"), ["cluster-info published", "cluster-info published"]);
});

test("runClusterControllers() signs cluster-info as tokens are created and deleted, then is idle", async () => {
  await withControllers(async (app) => {
    const path = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    const token = { id: "abcdef", secret: new Secret("0123456789abcdef") };
    const body = createTokenSecret({ token, usages: ["signing"], groups: [], description: "" });
    await app.send("POST", "/api/v1/namespaces/kube-system/secrets", { body });
    await rest();
    const signed = await app.send("GET", path);
    assert.equal(signed.at("data/kubeconfig"), encodeClusterInfo(CLUSTER));
    assert.match(String(signed.at("data/jws-kubeconfig-abcdef")), /^eyJ[\w-]+\.\.[\w-]{43}$/);
    const revision = app.storage.revision();
    await app.clock.advance(240_000);
    await rest();
    assert.equal(app.storage.revision(), revision);
    await app.send("DELETE", "/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef");
    await rest();
    assert.equal((await app.send("GET", path)).at("data/jws-kubeconfig-abcdef"), undefined);
  });
});

/** Creates an owner reference to an object of the API. */
async function ownedBy(app: TestApp, path: string, apiVersion: string, kind: string, more: object = {}) {
  const owner = await app.send("GET", path);
  return { apiVersion, kind, name: owner.at("metadata/name"), uid: owner.at("metadata/uid"), ...more };
}

async function createNode(app: TestApp, name: string, more: object = {}) {
  const node = { apiVersion: "v1", kind: "Node", metadata: { name, ...more } };
  assert.equal((await app.send("POST", "/api/v1/nodes", { body: node })).code, 201);
  return await ownedBy(app, `/api/v1/nodes/${name}`, "v1", "Node");
}

async function createMap(app: TestApp, name: string, ownerReferences: readonly object[], namespace = "default") {
  const body = { metadata: { name, ownerReferences } };
  assert.equal((await app.send("POST", `/api/v1/namespaces/${namespace}/configmaps`, { body })).code, 201);
  await rest();
  return `/api/v1/namespaces/${namespace}/configmaps/${name}`;
}

const NODE = "/api/v1/nodes/n1";
const foreground = { body: { propagationPolicy: "Foreground" } };

test("runClusterControllers() deletes the Lease and the CSINode of a node that is gone, and no others", async () => {
  await withControllers(async (app) => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    const csiNodes = "/apis/storage.k8s.io/v1/csinodes";
    for (const name of ["n1", "n2"]) {
      const ownerReferences = [await createNode(app, name)];
      const metadata = { name, ownerReferences };
      await app.send("POST", leases, { body: { metadata, spec: { holderIdentity: name } } });
      await app.send("POST", csiNodes, { body: { metadata, spec: { drivers: [] } } });
    }
    await rest();
    await app.send("DELETE", NODE);
    await rest();
    assert.deepEqual((await app.send("GET", leases)).names(), ["n2"]);
    assert.deepEqual((await app.send("GET", csiNodes)).names(), ["n2"]);
    // An owner reference with another UID does not count.
    const absent = { apiVersion: "v1", kind: "Node", name: "n2", uid: "00000000-0000-4000-8000-000000000000" };
    assert.equal((await app.send("GET", await createMap(app, "stray", [absent]))).code, 404);
  });
});

test("runClusterControllers() keeps an object with an owner, and removes its references to missing owners", async () => {
  await withControllers(async (app) => {
    const [n1, n2] = [await createNode(app, "n1"), await createNode(app, "n2")];
    const map = await createMap(app, "shared", [n1, n2]);
    await app.send("DELETE", NODE);
    await rest();
    assert.deepEqual((await app.send("GET", map)).at("metadata/ownerReferences"), [n2]);
  });
});

test("runClusterControllers() keeps objects whose owner is of an unserved kind or in the wrong scope", async () => {
  await withControllers(async (app) => {
    const uid = "00000000-0000-4000-8000-000000000000";
    const unserved = { apiVersion: "apps/v1", kind: "Deployment", name: "d", uid };
    assert.equal((await app.send("GET", await createMap(app, "of-deployment", [unserved]))).code, 200);
    await createNode(app, "n1", { ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "m", uid }] });
    await rest();
    assert.equal((await app.send("GET", NODE)).code, 200);
    // A namespaced owner is searched in the namespace of the dependent.
    const map = await createMap(app, "owner", []);
    const owner = await ownedBy(app, map, "v1", "ConfigMap");
    assert.equal((await app.send("GET", await createMap(app, "near", [owner]))).code, 200);
    assert.equal((await app.send("GET", await createMap(app, "far", [owner], "kube-public"))).code, 404);
  });
});

test("runClusterControllers() lets a foreground deletion wait for blocking dependents, and for their dependents", async () => {
  await withControllers(async (app) => {
    const node = { ...await createNode(app, "n1"), blockOwnerDeletion: true };
    const map = await createMap(app, "middle", [node]);
    const middle = await ownedBy(app, map, "v1", "ConfigMap", { blockOwnerDeletion: true });
    const leaf = "/api/v1/namespaces/default/secrets/leaf";
    const body = { metadata: { name: "leaf", ownerReferences: [middle], finalizers: ["example.com/hold"] } };
    await app.send("POST", "/api/v1/namespaces/default/secrets", { body });
    await rest();
    assert.equal((await app.send("DELETE", NODE, foreground)).code, 200);
    await rest();
    for (const path of [NODE, map]) {
      assert.deepEqual((await app.send("GET", path)).at("metadata/finalizers"), ["foregroundDeletion"], path);
    }
    const headers = { "content-type": "application/merge-patch+json" };
    await app.send("PATCH", leaf, { headers, body: { metadata: { finalizers: null } } });
    await rest();
    for (const path of [NODE, map, leaf]) assert.equal((await app.send("GET", path)).code, 404, path);
  });
});

test("runClusterControllers() deletes in the foreground even when objects own each other", async () => {
  await withControllers(async (app) => {
    const first = await createMap(app, "first", []);
    const second = await createMap(app, "second", [
      await ownedBy(app, first, "v1", "ConfigMap", { blockOwnerDeletion: true }),
    ]);
    const headers = { "content-type": "application/merge-patch+json" };
    const ownerReferences = [await ownedBy(app, second, "v1", "ConfigMap", { blockOwnerDeletion: true })];
    await app.send("PATCH", first, { headers, body: { metadata: { ownerReferences } } });
    await rest();
    await app.send("DELETE", first, foreground);
    await rest();
    await rest();
    for (const path of [first, second]) assert.equal((await app.send("GET", path)).code, 404, path);
  });
});

test("runClusterControllers() orphans dependents when the deletion requests it", async () => {
  await withControllers(async (app) => {
    const map = await createMap(app, "kept", [await createNode(app, "n1")]);
    assert.equal((await app.send("DELETE", NODE, { body: { propagationPolicy: "Orphan" } })).code, 200);
    await rest();
    assert.equal((await app.send("GET", NODE)).code, 404);
    const kept = await app.send("GET", map);
    assert.deepEqual([kept.code, kept.at("metadata/ownerReferences")], [200, undefined]);
  });
});

test("runClusterControllers() leaves garbage and the trust bundle to a kube-controller-manager while one is running", async () => {
  await withControllers(async (app) => {
    const published = (await app.send("GET", BUNDLES)).names();
    assert.equal(published.length, 1);
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    const spec = { holderIdentity: "cm", leaseDurationSeconds: 15 };
    await app.send("POST", leases, { body: { metadata: { name: "kube-controller-manager" }, spec } });
    const map = await createMap(app, "left", [await createNode(app, "n1")]);
    await app.send("DELETE", NODE);
    await app.send("DELETE", `${BUNDLES}/${published[0]}`);
    await rest();
    assert.equal((await app.send("GET", map)).code, 200);
    assert.deepEqual((await app.send("GET", BUNDLES)).names(), []);
    // It has stopped without releasing its Lease.
    await app.clock.advance(16_000);
    await rest();
    assert.equal((await app.send("GET", map)).code, 404);
    assert.deepEqual((await app.send("GET", BUNDLES)).names(), published);
  });
});

test("runClusterControllers() lets a deletion wait while a kind that is not served may depend on the object", async () => {
  const mentions = new Set<string>();
  const pods = { prefix: "/registry/pods/", group: "", resource: "pods" };
  const contents = {
    collections: () => Promise.resolve([pods]),
    count: () => Promise.resolve(0),
    findMention: (prefix: string, uid: string) => Promise.resolve(mentions.has(uid) ? `${prefix}web/a` : undefined),
  };
  await withControllers(async (app) => {
    const { uid } = await createNode(app, "n1");
    mentions.add(String(uid));
    await app.send("DELETE", NODE, foreground);
    await rest();
    assert.deepEqual((await app.send("GET", NODE)).at("metadata/finalizers"), ["foregroundDeletion"]);
    assert.match(app.logger.messages("warn").join(), /a dependent is not served here/);
    mentions.clear();
    await app.clock.advance(15_000);
    await rest();
    assert.equal((await app.send("GET", NODE)).code, 404);
  }, { contents });
});

test("runClusterControllers() deletes a request for a pod in the five minutes after a quarter of an hour", async () => {
  await withControllers(async (app) => {
    const collection = "/apis/certificates.k8s.io/v1/namespaces/default/podcertificaterequests";
    const { kind: _kind, apiVersion: _apiVersion, ...request } = await buildPodRequest();
    const body = { ...request, metadata: { name: "req-1" } };
    assert.equal((await app.send("POST", collection, { body })).code, 201);
    await app.clock.advance(14 * 60_000);
    await rest();
    assert.equal((await app.send("GET", `${collection}/req-1`)).code, 200);
    await app.clock.advance(6 * 60_000);
    await rest();
    assert.equal((await app.send("GET", `${collection}/req-1`)).code, 404);
  });
});

const READ: PolicyRule = { verbs: ["get"], apiGroups: [""], resources: ["secrets"] };
const WRITE: PolicyRule = { verbs: ["update"], apiGroups: [""], resources: ["secrets"] };

test("createAggregator() grants an aggregated role the rules of the selected roles, and removes them again", async () => {
  const store = createMemoryObjectStore<ClusterRole>({ objects: [gathering("all"), part("a", READ)] });
  await using aggregation = aggregate(store);
  const { logger } = aggregation;
  await settle();
  assert.deepEqual(store.peek("all").rules, [READ]);

  store.failNext("update all", new AppError("conflict", "cannot update"));
  store.put(part("b", WRITE));
  await settle();
  store.put(part("c", READ));
  await settle();
  assert.deepEqual(store.peek("all").rules, [READ, WRITE]);

  await store.delete("b", new AbortController().signal);
  await settle();
  assert.deepEqual(store.peek("all").rules, [READ]);
  assert.deepEqual(logger.messages("error"), []);
});

test("createAggregator() continues after the API was unreachable", async () => {
  const store = createMemoryObjectStore<ClusterRole>({ objects: [gathering("all"), part("a", READ)] });
  store.failNext("update all", new AppError("unreachable", "cannot reach"));
  await using aggregation = aggregate(store);
  const { logger, clock } = aggregation;
  await settle();
  assert.deepEqual(logger.messages("error"), ["reconciliation failed, will be tried again"]);
  await clock.advance(1_000);
  assert.deepEqual(store.peek("all").rules, [READ]);
});

/** Runs the controller of aggregated roles over a store until it is disposed. */
function aggregate(store: ReturnType<typeof createMemoryObjectStore<ClusterRole>>) {
  const deps = { clock: createFakeClock(), logger: createMemoryLogger(), random: createSeededRandom() };
  const abort = new AbortController();
  const aggregator = createAggregator(store, deps.logger);
  const running = runController({ name: "aggregation", store, ...aggregator, ...deps }, abort.signal);
  return {
    ...deps,
    async [Symbol.asyncDispose]() {
      abort.abort();
      await running;
    },
  };
}

function gathering(name: string): ClusterRole {
  return {
    metadata: { name },
    rules: [],
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { gather: "yes" } }] },
  };
}

function part(name: string, rule: PolicyRule): ClusterRole {
  return { metadata: { name, labels: { gather: "yes" } }, rules: [rule] };
}
