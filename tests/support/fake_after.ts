/** Timers that a test moves on. */
import { type After, runAfter } from "../../server/storage/storage.ts";
import { settle } from "./fake_clock.ts";

/** Timers under a test's control. */
interface FakeAfter {
  readonly after: After;
  /** The number of timers that are set. */
  readonly pending: number;
  /** Moves on, running each at its own time and letting what it starts run. */
  advance(ms: number): Promise<void>;
}

/** Creates timers that only the test advances. */
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

/** Creates timers in real time, all of which end when it is disposed, as Node runs on while one is left. */
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
