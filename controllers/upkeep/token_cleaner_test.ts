import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { runController } from "../engine/loop.ts";
import { createTokenCleaner } from "./token_cleaner.ts";

function token(name: string, expiration: string | undefined): SecretObject {
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
      token("expired", "2009-01-01T00:00:00Z"),
      token("broken", "soon"),
      token("minute", "2026-01-01T00:01:00Z"),
      token("forever", undefined),
      { ...token("opaque", "2009-01-01T00:00:00Z"), type: "Opaque" },
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
    const store = createMemoryObjectStore<SecretObject>({ objects: [token("t", "2009-01-01T00:00:00Z")] });
    store.failNext("delete t", new AppError(code, "cannot delete"));
    const { reconcile } = createTokenCleaner({ store, clock, logger: createMemoryLogger() });
    const outcome = await reconcile("t", store.peek("t"), new AbortController().signal);
    assert.deepEqual(outcome, { kind: "done" });
  });
}
