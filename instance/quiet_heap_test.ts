import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { keepHeapSmall } from "./quiet_heap.ts";

/** Checks a heap with a busy share for each interval of two seconds; returns the checks that collected garbage. */
async function listCollections(shares: readonly number[], usedBytes = 50e6): Promise<readonly number[]> {
  const clock = createFakeClock();
  const collections: number[] = [];
  let check = 0;
  let isCollecting = false;
  const heap = {
    busyShare() {
      // The second reading is the duration of the collection.
      if (isCollecting) {
        isCollecting = false;
        return 1;
      }
      return shares[check++] ?? 0;
    },
    usedBytes: () => usedBytes,
    collect() {
      collections.push(check);
      isCollecting = true;
    },
  };
  {
    using _kept = keepHeapSmall(heap, { clock, logger: createMemoryLogger() });
    await clock.advance(2_000 * shares.length);
  }
  assert.equal(clock.sleepers, 0);
  return collections;
}

function idle(checks: number): readonly number[] {
  return Array.from({ length: checks }, () => 0);
}

for (
  const { name, shares, want } of [
    { name: "once after the start", shares: [0, 0, 0, 0, 0, 0], want: [2] },
    { name: "not while there is work", shares: [0.9, 0, 0.26, 0, 0.26, 0], want: [] },
    { name: "after each busy period", shares: [1, 0.01, 0.25, ...idle(12), 1, 0, 0, 0], want: [3, 18] },
    { name: "not on each gap in intermittent work", shares: [1, 0, 0, 1, 0, 0, 1, ...idle(12)], want: [3, 13] },
    { name: "not after negligible work", shares: [0, 0, 0.25, 0.24, ...idle(12), 0.2, 0.25], want: [2] },
  ]
) {
  test(`keepHeapSmall() collects ${name}`, async () => {
    assert.deepEqual(await listCollections(shares), want);
  });
}

test("keepHeapSmall() does not collect a large heap", async () => {
  assert.deepEqual(await listCollections([0, 0, 0], 201e6), []);
});

test("keepHeapSmall() logs once that it cannot continue", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const heap = { busyShare: () => 0, usedBytes: () => 0, collect: () => assert.fail("not here") };
  using _kept = keepHeapSmall(heap, { clock, logger });
  await clock.advance(20_000);
  assert.deepEqual(logger.entries.map(({ level, fields }) => [level, fields["error"]]), [["warn", "not here"]]);
});
