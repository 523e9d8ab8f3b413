import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../../core/errors.ts";
import { thing } from "../../../tests/support/stored_things.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../../tests/support/memory_logger.ts";
import { RevisionConflictError } from "../storage.ts";
import { createStored } from "../stored.ts";
import { EventExpiry } from "./expiry.ts";

test("EventExpiry tries again a minute after a failure, and waits again for an Event that was written meanwhile", async () => {
  const key = "/registry/events/default/a";
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const current = createStored(key, thing("a"), 2);
  const faults = [new AppError("io", "the disk is full"), new RevisionConflictError(key, current)];
  const attempts: number[] = [];
  const now = () => clock.elapsedMs();
  const deps = { clock, now, logger, eventTtlMs: 1_000, writtenAt: new Map([[key, 0], ["/registry/pods/p", 0]]) };
  const storage: ConstructorParameters<typeof EventExpiry>[1] = {
    get: async () => current,
    async delete() {
      attempts.push(now());
      const fault = faults.shift();
      if (fault instanceof RevisionConflictError) {
        expiry.observe([{ event: { key, revision: 3, current }, at: now() }]);
      }
      if (fault !== undefined) throw fault;
      expiry.observe([{ event: { key, revision: 4, previous: current }, at: now() }]);
      return { previous: current, revision: 4 };
    },
  };
  await using expiry = new EventExpiry(deps, storage);
  await clock.advance(120_000);
  assert.deepEqual(attempts, [1_000, 61_000, 62_000]);
  assert.deepEqual(logger.messages("warn"), ["cannot delete expired events"]);
  assert.equal(clock.sleepers, 0);
});

test("EventExpiry stops without a warning while it waits", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const writtenAt = new Map([["/registry/events/default/a", 0]]);
  const deps = { clock, now: () => clock.elapsedMs(), logger, eventTtlMs: 1_000, writtenAt };
  const unused = () => Promise.reject(new Error("no Event has expired"));
  const expiry = new EventExpiry(deps, { get: unused, delete: unused });
  assert.equal(clock.sleepers, 1);
  await expiry[Symbol.asyncDispose]();
  assert.deepEqual([clock.sleepers, logger.entries], [0, []]);
});
