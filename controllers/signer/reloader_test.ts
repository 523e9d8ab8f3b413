import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock, type FakeClock } from "../../tests/support/fake_clock.ts";
import { createReloader } from "./reloader.ts";

interface Watched {
  text: string;
  loads: number;
  readonly clock: FakeClock;
  readonly changes: string[];
  readonly faults: string[];
  readonly current: () => Promise<{ readonly text: string }>;
}

/** A file whose text cannot be used when it begins with "bad". */
function watch(): Watched {
  const clock = createFakeClock();
  const watched: Omit<Watched, "current"> = { text: "one", loads: 0, clock, changes: [], faults: [] };
  const current = createReloader({
    first: { text: "one" },
    load(known) {
      watched.loads += 1;
      if (watched.text.startsWith("bad")) return Promise.reject(new Error(watched.text));
      return Promise.resolve(watched.text === known.text ? known : { text: watched.text });
    },
    clock,
    onChange: ({ text }) => watched.changes.push(text),
    onFault: (fault) => watched.faults.push(fault),
  });
  return Object.assign(watched, { current });
}

test("createReloader() checks at most once a second, once for all callers of that moment", async () => {
  const watched = watch();
  watched.text = "two";
  await watched.clock.advance(999);
  assert.equal((await watched.current()).text, "one");
  assert.equal(watched.loads, 0);
  await watched.clock.advance(1);
  const [first, second] = await Promise.all([watched.current(), watched.current()]);
  assert.equal(first.text, "two");
  assert.equal(first, second);
  assert.deepEqual([watched.loads, watched.changes], [1, ["two"]]);
});

test("createReloader() checks at once when the files are known to have changed, also while an earlier check is under way", async () => {
  const clock = createFakeClock();
  let [version, text] = [0, "one"];
  const held = Promise.withResolvers<void>();
  const current = createReloader({
    first: "one",
    async load() {
      const read = text;
      if (version === 1) await held.promise;
      return read;
    },
    clock,
    version: () => version,
    onChange: () => undefined,
    onFault: () => undefined,
  });
  assert.equal(await current(), "one");
  [version, text] = [1, "two"];
  const early = current();
  [version, text] = [2, "three"];
  const late = current();
  held.resolve();
  assert.deepEqual([await early, await late], ["two", "three"]);
});

test("createReloader() reports nothing when nothing has changed, and checks again although the clock was set back", async () => {
  const watched = watch();
  await watched.clock.advance(1_000);
  const before = await watched.current();
  watched.clock.set(-3_600_000);
  await watched.clock.advance(1_000);
  assert.equal(await watched.current(), before);
  assert.deepEqual([watched.loads, watched.changes, watched.faults], [2, [], []]);
});

test("createReloader() keeps the old value, reports each fault once, and again when it was fixed in between", async () => {
  const watched = watch();
  for (const text of ["bad", "bad", "bad too", "one", "bad too", "three"]) {
    watched.text = text;
    await watched.clock.advance(1_000);
    assert.equal((await watched.current()).text, text === "three" ? "three" : "one");
  }
  assert.deepEqual([watched.faults, watched.changes], [["bad", "bad too", "bad too"], ["three"]]);
});
