import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { thing } from "../../../tests/support/stored_things.ts";
import { KeyIndex } from "./key_index.ts";
import { createStored } from "../stored.ts";

/** Enough keys for several chunks. */
const COUNT = 3000;
const NAMES = Array.from({ length: COUNT }, (_, i) => `/r/${i % 3}/${String(i * 7919 % COUNT).padStart(5, "0")}`);

test("KeyIndex agrees with a sorted array, however many keys are added and removed", () => {
  const index = new KeyIndex();
  const present = new Map<string, number>();
  const set = (key: string, revision: number) => {
    index.set(createStored(key, thing(key), revision));
    present.set(key, revision);
  };
  const remove = (key: string) => {
    index.delete(key);
    present.delete(key);
  };
  const agree = () => {
    const sorted = [...present.keys()].sort();
    assert.deepEqual(index.page("/r/", "", 0).items.map((item) => item.key), sorted);
    fc.assert(
      fc.property(
        fc.constantFrom("/r/", "/r/0/", "/r/1/", "/r/2/", "/r/3/", "/q/", "/s/"),
        fc.oneof(fc.constantFrom("", ...NAMES), fc.constantFrom("/r/1/", "/r/1/00100x", "/z")),
        fc.constantFrom(0, 1, 2, 500, 512, 1000, 5000),
        (prefix, fromKey, limit) => {
          const want = sorted.filter((key) => key.startsWith(prefix) && key >= fromKey);
          const { items, remaining } = index.page(prefix, fromKey, limit);
          const shown = limit === 0 ? want : want.slice(0, limit);
          assert.deepEqual(items.map((item) => item.key), shown);
          assert.equal(remaining, want.length - shown.length);
        },
      ),
      { numRuns: 60 },
    );
    for (const key of NAMES.slice(0, 50)) assert.equal(index.get(key)?.revision, present.get(key));
  };

  agree();
  NAMES.forEach(set);
  agree();
  NAMES.slice(0, 1000).forEach((key) => set(key, COUNT + 1));
  NAMES.filter((_, i) => i % 3 === 1 || i % 5 === 0).forEach(remove);
  agree();
  NAMES.forEach(remove);
  agree();
  set(NAMES[5]!, 1);
  agree();
});
