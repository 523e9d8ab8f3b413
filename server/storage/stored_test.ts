import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { ClockCache, createStored, readStored, readValue, releaseObject } from "./stored.ts";

class Entry {
  isUsed = false;
  isKept = true;
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  release(): void {
    this.isKept = false;
  }
}

function listCached(things: readonly Entry[]): string {
  return things.filter(({ isKept }) => isKept).map(({ name }) => name).join("");
}

test("ClockCache keeps the newest entries that fit, and used ones longer", () => {
  const kept = new ClockCache<Entry>(30);
  const things = [..."abcdef"].map((name) => new Entry(name));
  const [a, b, c, d, e, f] = things;
  for (const thing of [a!, b!, c!]) kept.add(thing, 10);
  assert.equal(listCached(things.slice(0, 3)), "abc");
  a!.isUsed = true;
  kept.add(d!, 10);
  assert.equal(listCached(things.slice(0, 4)), "acd", "b had its turn after a, which was used");
  kept.add(e!, 10);
  assert.equal(listCached(things.slice(0, 5)), "ade");
  kept.add(f!, 20);
  assert.equal(listCached(things), "ef", "a was not used again");
});

test("ClockCache releases an entry larger than its capacity, and keeps working", () => {
  const kept = new ClockCache<Entry>(30);
  const [small, large, after] = [new Entry("s"), new Entry("l"), new Entry("a")];
  kept.add(small, 10);
  small.isUsed = true;
  kept.add(large, 31);
  assert.equal(listCached([small, large]), "s");
  kept.add(after, 30);
  assert.equal(listCached([after]), "a");
});

test("ClockCache keeps the few of many entries that are used again and again", () => {
  const kept = new ClockCache<Entry>(100);
  const hot = [new Entry("x"), new Entry("y")];
  for (const thing of hot) kept.add(thing, 1);
  const passing: Entry[] = [];
  for (let round = 0; round < 10_000; round++) {
    for (const thing of hot) thing.isUsed = true;
    passing.push(new Entry("."));
    kept.add(passing.at(-1)!, 1);
  }
  assert.equal(listCached(hot), "xy");
  assert.equal(listCached(passing).length, 98);
});

const VALUE = new TextEncoder().encode("value");

/** Reads the state of a shared store, and counts how often it is decoded. */
function readCounted(value = VALUE): { readonly stored: ReturnType<typeof readValue>; readonly decoded: () => number } {
  let decoded = 0;
  const decode = (): KubeObject => {
    decoded++;
    return { metadata: { name: "a" } };
  };
  return { stored: readValue("/registry/things/a", 3, value, decode, decode()), decoded: () => decoded };
}

/** Adds an object that is larger than the cache, so that each object in it is dropped unless it was used since. */
function turnCache(): void {
  createStored("/registry/things/large", { metadata: { name: "x".repeat(2_200_000) } }, 1);
}

test("a stored object is decoded again after the cache has dropped it, but not if it was used since the last turn", () => {
  const { stored, decoded } = readCounted();
  assert.equal(stored.object.metadata.resourceVersion, "3");
  turnCache();
  assert.equal(stored.object.metadata.name, "a");
  assert.equal(decoded(), 1);
  for (let round = 2; round < 4; round++) {
    turnCache();
    turnCache();
    assert.deepEqual(stored.object, { metadata: { name: "a", resourceVersion: "3" } });
    assert.equal(stored.object, stored.object);
    assert.equal(decoded(), round);
  }
});

test("only a state whose object was decoded, and is the newest, takes room in the cache", () => {
  const mebibyte = new Uint8Array(1_048_576);
  for (let turn = 0; turn < 2; turn++) turnCache();
  const replaced = readCounted(mebibyte);
  assert.equal(replaced.stored.object, replaced.stored.object);
  releaseObject(replaced.stored);
  const newest = readCounted(mebibyte);
  for (let read = 0; read < 3; read++) readStored("/registry/things/b", 4, mebibyte);
  createStored("/registry/things/c", { metadata: { name: "c" } }, 5);
  assert.equal(newest.stored.object.metadata.name, "a");
  assert.equal(newest.decoded(), 1);
});

test("the JSON of a value replaces it, unless a newer state has replaced the object", () => {
  const json = '{"metadata":{"name":"a","resourceVersion":"3"}}';
  const toText = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const newest = readCounted();
  assert.equal(newest.stored.size, VALUE.length);
  assert.equal(toText(newest.stored.bytes), json);
  turnCache();
  turnCache();
  assert.equal(newest.stored.object.metadata.name, "a");
  assert.equal(newest.decoded(), 1);
  const replaced = readCounted();
  releaseObject(replaced.stored);
  for (let read = 2; read < 4; read++) {
    assert.equal(toText(replaced.stored.bytes), json);
    assert.equal(replaced.decoded(), read);
  }
});

test("releaseObject() lets the object of a replaced state be parsed for each read", () => {
  const stored = readStored("/registry/things/a", 3, new TextEncoder().encode('{"metadata":{"name":"a"}}'));
  assert.equal(stored.object, stored.object);
  releaseObject(stored);
  assert.notEqual(stored.object, stored.object);
  assert.deepEqual(stored.object, { metadata: { name: "a" } });
});

for (
  const { name, metadata, want } of [
    {
      name: "after uid, as Go does",
      metadata: { name: "a", generateName: "g", namespace: "n", selfLink: "l", uid: "u", creationTimestamp: "t" },
      want: "name,generateName,namespace,selfLink,uid,resourceVersion,creationTimestamp",
    },
    { name: "first if nothing belongs before it", metadata: { labels: {} }, want: "resourceVersion,labels" },
    {
      name: "where it was",
      metadata: { labels: {}, resourceVersion: "1", name: "a" },
      want: "labels,resourceVersion,name",
    },
  ]
) {
  test(`createStored() writes resourceVersion ${name}`, () => {
    const stored = createStored("/registry/things/a", { kind: "Thing", apiVersion: "v1", metadata } as KubeObject, 7);
    assert.equal(Object.keys(stored.object.metadata).join(), want);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(stored.bytes)), {
      metadata: { ...metadata, resourceVersion: "7" },
    });
  });
}
