import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenSecret } from "../../core/token/token_secret.ts";
import { AppError } from "../../core/errors.ts";
import { Secret } from "../../core/lib/brand.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createBootstrapSigner, createTokenCleaner } from "./bootstrap_tokens.ts";
import { runController } from "../engine/loop.ts";

function signingToken(id: string): SecretObject {
  return createTokenSecret({
    token: { id, secret: new Secret("0123456789abcdef") },
    usages: ["signing"],
    groups: [],
    description: "",
  });
}

test("createBootstrapSigner() follows tokens and the ConfigMap, and writes nothing when everything is signed", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const configMaps = createMemoryObjectStore<ConfigMap>();
  const secrets = createMemoryObjectStore<SecretObject>({ objects: [signingToken("aaaaaa")] });
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
  secrets.put(signingToken("bbbbbb"));
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

function expiringToken(name: string, expiration: string | undefined): SecretObject {
  return {
    metadata: { name, namespace: "kube-system" },
    data: expiration === undefined ? {} : { expiration: Buffer.from(expiration).toString("base64") },
    type: "bootstrap.kubernetes.io/token",
  };
}

test("createTokenCleaner() deletes each token when it expires, and malformed ones at once", async () => {
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const logger = createMemoryLogger();
  const store = createMemoryObjectStore<SecretObject>({
    objects: [
      expiringToken("expired", "2009-01-01T00:00:00Z"),
      expiringToken("broken", "soon"),
      expiringToken("minute", "2026-01-01T00:01:00Z"),
      expiringToken("forever", undefined),
      { ...expiringToken("opaque", "2009-01-01T00:00:00Z"), type: "Opaque" },
    ],
  });
  const abort = new AbortController();
  const { reconcile } = createTokenCleaner({ store, clock, logger });
  const running = runController(
    { name: "tokencleaner", store, reconcile, clock, random: createSeededRandom(), logger },
    abort.signal,
  );
  await settle();
  assert.deepEqual(store.calls, ["changes", "delete expired", "delete broken"]);
  await clock.advance(59_999);
  assert.equal(store.calls.length, 3);
  await clock.advance(1);
  assert.deepEqual(store.calls.slice(3), ["delete minute"]);
  await clock.advance(86_400_000);
  assert.equal(store.calls.length, 4);
  assert.deepEqual(logger.messages("error"), []);
  abort.abort();
  await running;
});

for (const code of ["not_found", "conflict"] as const) {
  test(`createTokenCleaner() succeeds when the token is ${code} on deletion`, async () => {
    const clock = createFakeClock("2026-01-01T00:00:00Z");
    const store = createMemoryObjectStore<SecretObject>({ objects: [expiringToken("t", "2009-01-01T00:00:00Z")] });
    store.failNext("delete t", new AppError(code, "cannot delete"));
    const { reconcile } = createTokenCleaner({ store, clock, logger: createMemoryLogger() });
    const outcome = await reconcile("t", store.peek("t"), new AbortController().signal);
    assert.deepEqual(outcome, { kind: "done" });
  });
}
