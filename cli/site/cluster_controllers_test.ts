import assert from "node:assert/strict";
import { test } from "node:test";
import { clusterInfoKubeconfig } from "../../core/bootstrap/cluster_info.ts";
import { tokenSecret } from "../../core/bootstrap/token_secret.ts";
import { Secret } from "../../core/brand.ts";
import { settle } from "../../tests/support/fake_clock.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";
import { runClusterControllers } from "./cluster_controllers.ts";
import { ensureClusterInfo } from "./own_cluster_info.ts";

const CLUSTER = {
  server: "https://192.0.2.1:6443",
  caPem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
};

/** The controllers over the whole API in memory, as their own users; nothing is granted but the default roles. */
async function withControllers(run: (app: TestApp) => Promise<void>): Promise<void> {
  await using app = await createTestApp();
  const deps = { clock: app.clock, logger: app.logger, random: createSeededRandom() };
  const abort = new AbortController();
  await ensureClusterInfo({ server: app.api, isShared: false }, CLUSTER, deps, abort.signal);
  const running = runClusterControllers(app.api, { caPem: CLUSTER.caPem }, deps, abort.signal);
  await rest();
  try {
    await run(app);
    assert.deepEqual(app.logger.messages("error"), []);
  } finally {
    abort.abort(new Error("the test is over"));
    await running;
  }
}

/** Several requests follow one another; each takes some turns. */
const rest = () => settle(300);

test("runClusterControllers() furnishes every namespace, and again when something is taken away", async () => {
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
    const mended = await app.send("GET", "/api/v1/namespaces/web/configmaps/kube-root-ca.crt");
    assert.equal(mended.at("data/ca.crt"), CLUSTER.caPem);
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

test("runClusterControllers() waits for what somebody's finalizer holds, and says so", async () => {
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

test("runClusterControllers() signs cluster-info for tokens as they come and go, then rests", async () => {
  await withControllers(async (app) => {
    const path = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    const token = { id: "abcdef", secret: new Secret("0123456789abcdef") };
    const body = tokenSecret({ token, usages: ["signing"], groups: [], description: "" });
    await app.send("POST", "/api/v1/namespaces/kube-system/secrets", { body });
    await rest();
    const signed = await app.send("GET", path);
    assert.equal(signed.at("data/kubeconfig"), clusterInfoKubeconfig(CLUSTER));
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
