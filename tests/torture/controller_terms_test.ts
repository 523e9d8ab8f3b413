import assert from "node:assert/strict";
import { test } from "node:test";
import { findTermFaults, MAX_RENEWALS, type OwnWrite, readOwnWrite } from "./controller_terms.ts";

/** Writes in the order of their revisions: `A` is a claim of the Lease by server 0, `a` a write of its controllers. */
function toWrites(terms: string): readonly OwnWrite[] {
  return [...terms].map((letter, index) => ({
    server: "abc".indexOf(letter.toLowerCase()),
    revision: index + 1,
    isClaim: letter !== letter.toLowerCase(),
  }));
}

test("the grace is 12 renewals, as in docs/engineering/guarantees.md", () => assert.equal(MAX_RENEWALS, 12));

const TERM = "B".repeat(MAX_RENEWALS);

for (
  const [title, terms, faulty] of [
    ["a handover", "AaAaaBbBbb", []],
    ["two handovers", "AaBbAaBb", []],
    ["the last writes of a server that was paused", `AaBbBabaB${"B".repeat(5)}aBb`, []],
    ["a write at the end of the grace", `AaBa${TERM}a`, []],
    ["a write after the grace", `AaBa${TERM}Ba`, [0]],
    ["a first write long after the handover, by a server that was paused that long", `AaB${TERM}${TERM}aB`, []],
    ["terms that alternate", `AaBb${"aBbBa".repeat(MAX_RENEWALS)}`, [0]],
    ["late writes in two terms", `AaBa${TERM}Aa${TERM}a`, []],
    ["two servers that keep writing", `AaBbCab${"Cab".repeat(MAX_RENEWALS + 1)}`, [0, 1]],
    ["a server that never claimed the Lease", `Ac${"A".repeat(MAX_RENEWALS + 1)}c`, [2]],
  ] as const
) {
  test(`findTermFaults(): ${title}`, () => {
    const writes = toWrites(terms);
    for (const order of [writes, writes.toReversed()]) {
      const faults = findTermFaults(order);
      assert.deepEqual(faults.map((fault) => Number(/: server (\d)/.exec(fault)?.[1])), faulty, faults.join("\n"));
    }
  });
}

test("readOwnWrite() reads claims of the Lease and writes of controllers that have a new revision", () => {
  const read = (objectRef: object, responseObject?: object) =>
    readOwnWrite(1, JSON.stringify({ objectRef, responseObject }));
  const csr = { resource: "certificatesigningrequests", name: "a", resourceVersion: "4" };
  const written = { metadata: { resourceVersion: "5" } };
  assert.deepEqual(read(csr, written), { server: 1, revision: 5, isClaim: false });
  assert.deepEqual(read({ resource: "leases", name: "tlsboot-controllers" }, written), {
    server: 1,
    revision: 5,
    isClaim: true,
  });
  assert.equal(read({ resource: "leases", name: "other" }, written), undefined);
  assert.equal(read(csr, { metadata: { resourceVersion: "4" } }), undefined);
  assert.equal(read(csr, { kind: "Status", metadata: {} }), undefined);
  assert.equal(read(csr), undefined);
});
