import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createVerdictEvents } from "./verdict_events.ts";

test("createVerdictEvents() logs an Event that cannot be written, and shortens a long note", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const events = createMemoryObjectStore<EventV1>();
  const { record } = createVerdictEvents({
    store: events,
    instance: "i",
    clock,
    random: createSeededRandom(),
    logger,
  });
  const signal = new AbortController().signal;
  const csr = await buildCsr({ name: "No DNS Name" });
  events.failNext("create", new AppError("access_denied", "forbidden"));
  await record(csr, { type: "Normal", reason: "X", note: "lost" }, signal);
  assert.deepEqual(logger.messages("warn"), ["event cannot be written"]);
  await record(csr, { type: "Normal", reason: "X", note: "ü".repeat(2_000) }, signal);
  const [event] = await events.list(signal);
  assert.match(event?.metadata.name ?? "", /^csr\.[0-9a-f]{16}$/);
  assert.ok(new TextEncoder().encode(event?.note).length <= 1_024);
  assert.match(event?.note ?? "", /^ü+…$/);
});
