/** Timers that only a test advances, and timers in real time. */
import { type After, runAfter } from "../../server/storage/storage.ts";
import { settle } from "./fake_clock.ts";

interface FakeAfter {
  readonly after: After;
  /** The number of pending timers. */
  readonly pending: number;
  /** Advances the time, runs each timer when it is due, and waits for the work that it starts. */
  advance(ms: number): Promise<void>;
}

export function createFakeAfter(): FakeAfter {
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  let now = 0;
  return {
    after(ms, run) {
      const timer = { at: now + ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    get pending() {
      return timers.size;
    },
    async advance(ms) {
      const target = now + ms;
      await settle();
      while (true) {
        const next = [...timers].sort((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > target) break;
        now = next.at;
        timers.delete(next);
        next.run();
        await settle();
      }
      now = target;
    },
  };
}

/** Creates timers in real time. Disposing them cancels all, because a pending timer keeps Node running. */
export function createRealAfter(): Disposable & { readonly after: After } {
  const cancels: (() => void)[] = [];
  return {
    after(ms, run) {
      const cancel = runAfter(ms, run);
      cancels.push(cancel);
      return cancel;
    },
    [Symbol.dispose]() {
      for (const cancel of cancels) cancel();
    },
  };
}
