import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { ADMIN } from "../../tests/support/test_app.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import type { Storage, StorageEvent } from "../storage/storage.ts";
import { configMaps } from "./secrets.ts";
import type { RegistryDeps, Target } from "./registry.ts";
import { openWatch, type RegistryWatch } from "./watch.ts";

const TARGET = { resource: configMaps, subresource: "", namespace: "a", name: "", user: ADMIN } as unknown as Target;
const open = new AbortController().signal;

/** Opens a watch that is not read, with a function that sends it events of a given size. */
async function openUnread(): Promise<
  { watching: RegistryWatch; emit(count: number, bytes: number, isDeletion?: boolean): void }
> {
  const memory = createMemoryStorage({ clock: createFakeClock() });
  let notify: (events: readonly StorageEvent[]) => void = () => {};
  const storage = new Proxy(memory, {
    get(target, name) {
      if (name === "watch") {
        return ((_prefix, _after, onEvents) => {
          notify = onEvents;
          return { stop: () => {} };
        }) satisfies Storage["watch"];
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const watching = await openWatch({ storage, clock: createFakeClock() } as unknown as RegistryDeps, TARGET, {
    labels: [],
    fields: [],
    notBefore: 0,
    afterRevision: 1,
    initialEvents: false,
    initialEventsEnd: false,
  }, open);
  let revision = 1;
  return {
    watching,
    emit(count, bytes, isDeletion = false) {
      for (let index = 0; index < count; index++) {
        revision++;
        const object = { metadata: { name: `n${revision}`, namespace: "a" } };
        const key = `/registry/configmaps/a/n${revision}`;
        const state = { key, revision, object, bytes: new Uint8Array(bytes), size: bytes };
        notify([{ key, revision, ...(isDeletion ? { previous: state } : { current: state }) }]);
      }
    },
  };
}

test("openWatch() returns waiting events in batches, so that little is encoded for a client that does not read", async () => {
  const { watching, emit } = await openUnread();
  emit(1_000, 100);
  assert.equal((await watching.next())?.length, 256);
  assert.equal((await watching.next())?.length, 256);
  emit(10, 200_000);
  assert.equal((await watching.next())?.length, 256);
  assert.equal((await watching.next())?.length, 233);
  assert.equal((await watching.next())?.length, 1);
  watching[Symbol.dispose]();
});

test("openWatch() reports its progress only when all events have been returned", async () => {
  const { watching, emit } = await openUnread();
  emit(300, 100);
  await watching.next();
  assert.equal(watching.progress(), undefined);
  await watching.next();
  assert.equal(watching.progress(), 301);
});

for (
  const { name, count, bytes, isDeletion = false } of [
    { name: "20,001 changes", count: 20_001, bytes: 10 },
    { name: "65 MiB of changes", count: 65, bytes: 1_048_576 },
    { name: "65 MiB of deletions", count: 65, bytes: 1_048_576, isDeletion: true },
  ]
) {
  test(`openWatch() ends a watch whose client leaves ${name} unread`, async () => {
    const { watching, emit } = await openUnread();
    emit(1, bytes);
    assert.equal((await watching.next())?.length, 1);
    emit(count, bytes, isDeletion);
    assert.equal(await watching.next(), undefined);
  });
}
