import assert from "node:assert/strict";
import { test } from "node:test";
import { compareHistories, countFault, orderFault, type SeenEvent } from "./event_order.ts";

function seen(revision: number, name = "a", kind: SeenEvent["kind"] = "changed"): SeenEvent {
  return { revision, name, kind };
}

test("orderFault() requires rising revisions", () => {
  assert.equal(orderFault(4, seen(5)), undefined);
  assert.equal(orderFault(4, seen(9)), undefined);
  assert.equal(orderFault(5, seen(5)), "revision 5 came twice");
  assert.equal(orderFault(5, seen(4)), "revision 4 of a came after 5");
});

test("countFault() requires each number of a counter after the first", () => {
  const counts = new Map<string, number>();
  const see = (name: string, count?: number) =>
    countFault(counts, { ...seen(1, name), ...(count === undefined ? {} : { count }) });
  assert.deepEqual([see("a", 7), see("a", 8), see("b", 1), see("c"), see("a", 9)].filter(Boolean), []);
  assert.equal(see("a", 11), "a went from 9 to 11");
  assert.equal(see("b", 1), "b went from 1 to 1");
});

for (
  const { name, events, want } of [
    { name: "the same", events: [seen(2), seen(3, "b"), seen(5, "a", "deleted")], want: [] },
    {
      name: "one missed",
      events: [seen(2), seen(5, "a", "deleted")],
      want: ["revision 3 (b changed) was missed"],
    },
    {
      name: "one invented",
      events: [seen(2), seen(3, "b"), seen(4, "c"), seen(5, "a", "deleted")],
      want: ["revision 4 (c) was seen, and is not in the history"],
    },
    {
      name: "one of another object",
      events: [seen(2), seen(3, "c"), seen(5, "a", "deleted")],
      want: ["revision 3 is b changed, but was seen as c changed"],
    },
    {
      name: "a deletion seen as a change",
      events: [seen(2), seen(3, "b"), seen(5)],
      want: ["revision 5 is a deleted, but was seen as a changed"],
    },
  ]
) {
  test(`compareHistories() of ${name}`, () => {
    assert.deepEqual(compareHistories([seen(2), seen(3, "b"), seen(5, "a", "deleted")], events), want);
  });
}
