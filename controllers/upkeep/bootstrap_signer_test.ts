import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenSecret } from "../../core/token/token_secret.ts";
import { Secret } from "../../core/lib/brand.ts";
import type { ConfigMap, SecretObject as KubeSecret } from "../../core/kube/kinds/core_v1.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createBootstrapSigner } from "./bootstrap_signer.ts";
import { runController } from "../engine/loop.ts";

function token(id: string): KubeSecret {
  return createTokenSecret({
    token: { id, secret: new Secret("0123456789abcdef") },
    usages: ["signing"],
    groups: [],
    description: "",
  });
}

test("createBootstrapSigner() follows tokens and the config map, and writes nothing when all is signed", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const configMaps = createMemoryObjectStore<ConfigMap>();
  const secrets = createMemoryObjectStore<KubeSecret>({ objects: [token("aaaaaa")] });
  const { reconcile } = createBootstrapSigner({ configMaps, secrets, clock, logger });
  const abort = new AbortController();
  const triggers = [{ changes: secrets.changes, nameFor: () => "cluster-info" }];
  const running = runController(
    { name: "bootstrap-signer", store: configMaps, triggers, reconcile, clock, random: createSeededRandom(), logger },
    abort.signal,
  );
  const signatures = () =>
    Object.keys(configMaps.peek("cluster-info").data ?? {}).filter((key) => key.startsWith("jws-")).sort();

  await settle();
  assert.deepEqual(configMaps.calls, ["changes"]);
  configMaps.put({ metadata: { name: "cluster-info" }, data: { kubeconfig: "x" } });
  await settle();
  assert.deepEqual(signatures(), ["jws-kubeconfig-aaaaaa"]);
  secrets.put(token("bbbbbb"));
  await settle();
  assert.deepEqual(signatures(), ["jws-kubeconfig-aaaaaa", "jws-kubeconfig-bbbbbb"]);
  await secrets.delete("bootstrap-token-aaaaaa", abort.signal);
  await settle();
  assert.deepEqual(signatures(), ["jws-kubeconfig-bbbbbb"]);

  const written = configMaps.calls.length;
  await clock.advance(3_600_000);
  assert.equal(configMaps.calls.length, written);
  assert.doesNotMatch(JSON.stringify(logger), /0123456789abcdef/);
  abort.abort();
  await running;
});
