import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { formatTrustBundleName } from "../../core/signing/cluster_trust_bundle.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { runTrustBundlePublisher } from "./trust_bundle_publisher.ts";

const SIGNER = "example.com/pods";

test("runTrustBundlePublisher() keeps one bundle, through changes of the CA and of the API", async () => {
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const logger = createMemoryLogger();
  const foreign = { metadata: { name: "foreign" }, spec: { trustBundle: "X" } };
  const store = createMemoryObjectStore<ClusterTrustBundle>({ objects: [foreign] });
  const abort = new AbortController();
  let pem = "first";
  const content = () => Promise.resolve({ trustBundle: pem });
  const running = runTrustBundlePublisher(
    { store, signerName: SIGNER, content, clock, random: createSeededRandom(), logger },
    abort.signal,
  );
  const published = async () => {
    await settle();
    return (await store.list(abort.signal)).map(({ spec }) => spec.trustBundle);
  };
  assert.deepEqual(await published(), ["X", "first"]);
  pem = "second";
  await clock.advance(2_000);
  assert.deepEqual(await published(), ["X", "second"]);
  const name = formatTrustBundleName(SIGNER, "second");
  store.put({ ...store.peek(name), spec: { signerName: SIGNER, trustBundle: "tampered" } });
  assert.deepEqual(await published(), ["X", "second"]);
  await store.delete(name, abort.signal);
  assert.deepEqual(await published(), ["X", "second"]);
  assert.deepEqual(logger.messages("error"), []);
  abort.abort();
  await running;
});

test("runTrustBundlePublisher() keeps the bundle of an earlier CA for as long as requested", async () => {
  const clock = createFakeClock("2026-01-01T00:00:00Z");
  const store = createMemoryObjectStore<ClusterTrustBundle>({ clock });
  const abort = new AbortController();
  let pem = "first";
  const running = runTrustBundlePublisher({
    store,
    signerName: SIGNER,
    content: () => Promise.resolve({ trustBundle: pem }),
    keepMs: () => Promise.resolve(60_000),
    clock,
    random: createSeededRandom(),
    logger: createMemoryLogger(),
  }, abort.signal);
  const published = async () => {
    await settle();
    return (await store.list(abort.signal)).map(({ spec }) => spec.trustBundle);
  };
  assert.deepEqual(await published(), ["first"]);
  pem = "second";
  await clock.advance(2_000);
  assert.deepEqual(await published(), ["first", "second"]);
  await clock.advance(59_000);
  assert.deepEqual(await published(), ["first", "second"]);
  await clock.advance(1_000);
  assert.deepEqual(await published(), ["second"]);
  abort.abort();
  await running;
});
