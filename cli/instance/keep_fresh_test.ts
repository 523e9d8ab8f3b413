import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOCK_JUMPS } from "../../tests/support/clock_jumps.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { keepFresh } from "./keep_fresh.ts";

interface Looking extends AsyncDisposable {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly logger: ReturnType<typeof createMemoryLogger>;
  looks(): number;
}

function look(renew: () => void = () => {}): Looking {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const abort = new AbortController();
  let looks = 0;
  const running = keepFresh(
    async () => {
      looks++;
      renew();
    },
    { clock, logger },
    abort.signal,
  );
  return {
    clock,
    logger,
    looks: () => looks,
    async [Symbol.asyncDispose]() {
      abort.abort();
      await running;
      assert.equal(clock.sleepers, 0);
    },
  };
}

test("keepFresh() looks each minute, also after a look that failed", async () => {
  await using looking = look(() => {
    throw new Error("no space left on device");
  });
  await looking.clock.advance(59_999);
  assert.equal(looking.looks(), 0);
  await looking.clock.advance(1);
  assert.equal(looking.looks(), 1);
  await looking.clock.advance(120_000);
  assert.equal(looking.looks(), 3);
  assert.equal(looking.logger.messages("error").length, 3);
});

for (const { name, ms } of CLOCK_JUMPS) {
  test(`keepFresh() looks within seconds when the clock was set ${name}, and then each minute`, async () => {
    await using looking = look();
    await looking.clock.advance(12_000);
    looking.clock.set(ms);
    await looking.clock.advance(5_000);
    assert.equal(looking.looks(), 1);
    await looking.clock.advance(60_000);
    assert.equal(looking.looks(), 2);
  });
}

test("keepFresh() does not look for the little that NTP corrects", async () => {
  await using looking = look();
  for (let second = 0; second < 50; second++) {
    looking.clock.set(second % 2 === 0 ? 900 : -900);
    await looking.clock.advance(1_000);
  }
  assert.equal(looking.looks(), 0);
});
