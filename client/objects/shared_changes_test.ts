import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import type { ObjectChange, ObjectStore } from "../../core/ports.ts";
import { settle } from "../../tests/support/fake_clock.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSharedChanges } from "./shared_changes.ts";

type Source = Pick<ObjectStore<ConfigMap>, "changes">;

interface Reading {
  /** The names of changed objects, `-` before a deleted one, `=` for synced. */
  readonly seen: string[];
  readonly over: Promise<void>;
  stop(): Promise<void>;
}

function read(source: Source): Reading {
  const seen: string[] = [];
  const abort = new AbortController();
  const over = (async () => {
    for await (const change of source.changes(abort.signal)) seen.push(wordFor(change));
  })();
  const stop = async (): Promise<void> => {
    abort.abort(new Error("enough"));
    await assert.rejects(over, /enough/);
  };
  return { seen, over, stop };
}

function wordFor(change: ObjectChange<ConfigMap>): string {
  if (change.kind === "synced") return "=";
  return `${change.kind === "deleted" ? "-" : ""}${change.object.metadata.name}`;
}

function createStore(...names: readonly string[]) {
  return createMemoryObjectStore<ConfigMap>({ objects: names.map((name) => ({ metadata: { name } })) });
}

test("createSharedChanges() follows the source once, and gives all followers the same objects", async () => {
  const store = createStore("a", "b");
  const shared = createSharedChanges(store);
  const [first, second] = [read(shared), read(shared)];
  await settle();
  store.put({ metadata: { name: "c" } });
  await store.delete("a", new AbortController().signal);
  await settle();
  const late = read(shared);
  await settle();
  assert.deepEqual(first.seen, ["a", "b", "=", "c", "-a"]);
  assert.deepEqual(second.seen, first.seen);
  assert.deepEqual(late.seen, ["b", "c", "="]);
  assert.deepEqual(store.calls.filter((call) => call === "changes"), ["changes"]);
  for (const reading of [first, second, late]) await reading.stop();
});

test("createSharedChanges() ends the source with the last follower, and starts again with the next", async () => {
  const store = createStore("a");
  let open = 0;
  const shared = createSharedChanges<ConfigMap>({
    async *changes(signal) {
      open += 1;
      try {
        yield* store.changes(signal);
      } finally {
        await settle();
        open -= 1;
      }
    },
  });
  const readings = [read(shared), read(shared)];
  await settle();
  await readings[0]?.stop();
  assert.equal(open, 1);
  await readings[1]?.stop();
  const next = read(shared);
  await settle();
  assert.equal(open, 1);
  assert.deepEqual(next.seen, ["a", "="]);
  await next.stop();
  assert.equal(open, 0);
});

test("createSharedChanges() ends for all followers as its source ends, after the pending changes, and starts again", async () => {
  const store = createStore("a", "b");
  const shared = createSharedChanges(store);
  const readings = [read(shared), read(shared)];
  await settle();
  store.breakWatches(new Error("reset"));
  for (const { over } of readings) await assert.rejects(over, /reset/);
  await store.delete("a", new AbortController().signal);
  const next = read(shared);
  await settle();
  assert.deepEqual(next.seen, ["b", "="]);
  await next.stop();

  for (const error of [undefined, new Error("at once")]) {
    const { seen, over } = read(createSharedChanges<ConfigMap>({
      // deno-lint-ignore require-await -- a generator without anything to await
      async *changes() {
        yield { kind: "synced" };
        if (error !== undefined) throw error;
      },
    }));
    if (error === undefined) await over;
    else await assert.rejects(over, error);
    assert.deepEqual(seen, ["="]);
  }
});

test("createSharedChanges() delivers nothing more to a follower that stops among the known objects", async () => {
  const shared = createSharedChanges(createStore("a", "b"));
  const stays = read(shared);
  await settle();
  for await (const change of shared.changes(new AbortController().signal)) {
    assert.equal(wordFor(change), "a");
    break;
  }
  assert.deepEqual(stays.seen, ["a", "b", "="]);
  await stays.stop();
  const aborted = AbortSignal.abort(new Error("before"));
  await assert.rejects(async () => {
    for await (const _ of shared.changes(aborted)) assert.fail();
  }, /before/);
});
