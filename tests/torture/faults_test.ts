import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../support/fake_clock.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { FAULT_KINDS, type FaultKind, Faults, findMissingFaults, formatFaults } from "./faults.ts";

function createFaults(kinds: readonly FaultKind[], seconds: number) {
  const clock = createFakeClock();
  const pauses: number[] = [];
  const pause = (ms: number): Promise<void> => {
    pauses.push(ms);
    return Promise.resolve();
  };
  return {
    pauses,
    faults: new Faults({ kinds, seconds, clock, random: createSeededRandom(7), pause, onInflicted() {} }),
  };
}

test("Faults.draw() draws each kind once before any is drawn again, in a new order each time", () => {
  const { faults } = createFaults(FAULT_KINDS, 90);
  const rounds = Array.from({ length: 20 }, () => FAULT_KINDS.map(() => faults.draw()));
  for (const round of rounds) assert.deepEqual(round.toSorted(), FAULT_KINDS.toSorted());
  assert.ok(new Set(rounds.map((round) => round.join())).size > 15);
});

for (const { seconds, longestMs } of [{ seconds: 90, longestMs: 9_000 }, { seconds: 3_600, longestMs: 60_000 }]) {
  test(`Faults.last() lasts from 1 s to ${longestMs} ms in a storm of ${seconds} s`, async () => {
    const { faults, pauses } = createFaults(["pause"], seconds);
    for (let count = 0; count < 200; count++) await faults.last("pause", () => {});
    assert.ok(pauses.every((ms) => ms >= 1_000 && ms <= longestMs));
    assert.ok(Math.max(...pauses) > longestMs * 0.8);
    assert.equal(faults.counts.pause, 200);
  });
}

test("Faults.last() heals a fault when the action during it fails", async () => {
  const { faults } = createFaults(["partition"], 90);
  let isHealed = false;
  const failing = faults.last("partition", () => void (isHealed = true), () => Promise.reject(new Error("no")));
  await assert.rejects(failing, /no/);
  assert.ok(isHealed);
});

test("findMissingFaults() lists each chosen fault that did not happen, and formatFaults() counts the chosen ones", () => {
  const { faults } = createFaults(["kill", "pause"], 90);
  faults.count("kill", 2);
  assert.deepEqual(findMissingFaults(faults.counts, faults.kinds), ["pauses"]);
  assert.equal(formatFaults(faults.counts, faults.kinds), "2 kills, 0 pauses");
});
