import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOCK_JUMPS } from "../tests/support/clock_jumps.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { renewEachMinute } from "./parts.ts";

interface Running extends AsyncDisposable {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly logger: ReturnType<typeof createMemoryLogger>;
  checks(): number;
}

function start(renew: () => void = () => {}): Running {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const abort = new AbortController();
  let checks = 0;
  const running = renewEachMinute(
    async () => {
      checks++;
      renew();
    },
    { clock, logger },
    abort.signal,
  );
  return {
    clock,
    logger,
    checks: () => checks,
    async [Symbol.asyncDispose]() {
      abort.abort();
      await running;
      assert.equal(clock.sleepers, 0);
    },
  };
}

test("renewEachMinute() checks each minute, also after a failure", async () => {
  await using running = start(() => {
    throw new Error("no space left on device");
  });
  await running.clock.advance(59_999);
  assert.equal(running.checks(), 0);
  await running.clock.advance(1);
  assert.equal(running.checks(), 1);
  await running.clock.advance(120_000);
  assert.equal(running.checks(), 3);
  assert.equal(running.logger.messages("error").length, 3);
});

for (const { name, ms } of CLOCK_JUMPS) {
  test(`renewEachMinute() checks within seconds when the clock was set ${name}, and then each minute`, async () => {
    await using running = start();
    await running.clock.advance(12_000);
    running.clock.set(ms);
    await running.clock.advance(5_000);
    assert.equal(running.checks(), 1);
    await running.clock.advance(60_000);
    assert.equal(running.checks(), 2);
  });
}

test("renewEachMinute() does not check after small corrections by NTP", async () => {
  await using running = start();
  for (let second = 0; second < 50; second++) {
    running.clock.set(second % 2 === 0 ? 900 : -900);
    await running.clock.advance(1_000);
  }
  assert.equal(running.checks(), 0);
});
