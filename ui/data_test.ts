import assert from "node:assert/strict";
import { test } from "node:test";
import { secretKind } from "../core/kube/kinds/mod.ts";
import type { Clock, Transport } from "../core/ports.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createUiData, type UiData } from "./data.ts";

const WATCH = { id: "secrets", kind: secretKind, keep: () => "" } as const;

/** Creates data over a transport, with a clock that only records its sleeps and stops after a number of them. */
function createStoppingData(
  send: Transport["send"],
  count: number,
): { readonly data: UiData; readonly slept: readonly number[]; readonly stopped: Promise<void> } {
  const stop = new AbortController();
  const slept: number[] = [];
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  const clock: Clock = {
    now: () => new Date(0),
    elapsedMs: () => 0,
    sleepUntil: () => Promise.reject(new Error("not used")),
    sleep(ms, signal) {
      slept.push(ms);
      if (slept.length >= count) {
        stop.abort(new Error("enough"));
        resolve();
      }
      // The time limit of a watch, which must not end it here.
      if (ms > 60_000) return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      return Promise.resolve();
    },
  };
  const random = { float: () => 0, bytes: (length: number) => new Uint8Array(length) };
  const logger = createMemoryLogger();
  return { data: createUiData({ transport: { send }, clock, random, logger }, stop.signal), slept, stopped };
}

async function* send(body: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield await Promise.resolve(body);
}

for (
  const { name, status, longest } of [
    { name: "what the user may not read is requested ever more rarely", status: 403, longest: 30_000 },
    { name: "a server that fails is tried again soon, because a user is waiting", status: 500, longest: 5_000 },
  ]
) {
  test(`createUiData(): ${name}, and a repeated failure is no change`, async () => {
    const body = new TextEncoder().encode(JSON.stringify({ kind: "Status", code: status, message: "no" }));
    const { data, slept, stopped } = createStoppingData(
      () => Promise.resolve({ status, headers: {}, body: send(body) }),
      60,
    );
    await assert.rejects(data.read(WATCH, new AbortController().signal), /no/);
    const version = data.describeVersion([WATCH.id]);
    await stopped;
    assert.equal(data.describeVersion([WATCH.id]), version);
    assert.deepEqual(data.listFaults([WATCH.id]), [], "what never ran is not old");
    assert.equal(Math.max(...slept.filter((ms) => ms <= 60_000)), longest);
    assert.ok(slept.some((ms) => ms >= 300_000), "a quiet watch is no dead one");
  });
}
