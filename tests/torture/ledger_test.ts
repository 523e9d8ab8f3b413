import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger, type Shown } from "./ledger.ts";

const CSRS = "certificatesigningrequests";

function csr(name: string, revision: number, certificate?: string): Shown {
  const metadata = { name, uid: `uid-${name}`, resourceVersion: `${revision}` };
  return { metadata, ...(certificate === undefined ? {} : { status: { certificate } }) };
}

test("Ledger finds nothing wrong with a history in which every promise is kept", () => {
  const ledger = new Ledger();
  ledger.acknowledge(CSRS, csr("a", 2), ledger.newest);
  ledger.acknowledge(CSRS, csr("b", 3), 1); // requested before the other was answered
  ledger.show(CSRS, csr("a", 4, "one"));
  ledger.show(CSRS, csr("a", 5, "one"));
  ledger.observe("lister", 5);
  ledger.observe("lister", 5);
  ledger.beginDeletion("uid-b");
  ledger.compare(ledger.expect(CSRS), [csr("a", 5, "one"), csr("b", 3)]);
  ledger.compare(ledger.expect(CSRS), [csr("a", 5, "one")]);
  ledger.acknowledgeDeletion("uid-b");
  ledger.compare(ledger.expect(CSRS), [csr("a", 5, "one")]);
  assert.deepEqual(ledger.violations, []);
  assert.deepEqual(ledger.counts, { certificates: 1, writes: 2, deletions: 1, states: 4 });
  assert.equal(ledger.newest, 5);
});

test("Ledger expects in a list the objects of its resource that were acknowledged before the request", () => {
  const ledger = new Ledger();
  ledger.acknowledge("configmaps", csr("c", 2), 0);
  const expectation = ledger.expect(CSRS);
  ledger.acknowledge(CSRS, csr("a", 3), 0);
  ledger.compare(expectation, []);
  assert.deepEqual(ledger.violations, []);
});

for (
  const { name, story, want } of [
    {
      name: "a lost object",
      story: (ledger: Ledger) => {
        ledger.acknowledge(CSRS, csr("a", 2), 0);
        ledger.compare(ledger.expect(CSRS), []);
      },
      want: "certificatesigningrequests a: was acknowledged, and is lost",
    },
    {
      name: "a lost certificate",
      story: (ledger: Ledger) => {
        ledger.show(CSRS, csr("a", 2, "one"));
        ledger.compare(ledger.expect(CSRS), [csr("a", 3)]);
      },
      want: "certificatesigningrequests a: its certificate was shown, and is lost",
    },
    {
      name: "a request that is signed twice",
      story: (ledger: Ledger) => {
        ledger.show(CSRS, csr("a", 2, "one"));
        ledger.show(CSRS, csr("a", 3, "two"));
      },
      want: "certificatesigningrequests a: was signed twice, two different certificates were shown",
    },
    {
      name: "a deletion that is undone",
      story: (ledger: Ledger) => {
        ledger.acknowledge(CSRS, csr("a", 2), 0);
        ledger.beginDeletion("uid-a");
        ledger.acknowledgeDeletion("uid-a");
        ledger.compare(ledger.expect(CSRS), [csr("a", 2)]);
      },
      want: "certificatesigningrequests a: was deleted, and is back",
    },
    {
      name: "a revision that is used again",
      story: (ledger: Ledger) => {
        ledger.show(CSRS, csr("a", 2));
        ledger.show(CSRS, csr("b", 2));
      },
      want: "certificatesigningrequests b: revision 2 shows two different states",
    },
    {
      name: "a write below an already seen revision",
      story: (ledger: Ledger) => {
        ledger.observe("lister", 7);
        ledger.acknowledge(CSRS, csr("a", 7), ledger.newest);
      },
      want: "certificatesigningrequests a: was written at revision 7, after 7 had been seen",
    },
    {
      name: "a list of an earlier revision",
      story: (ledger: Ledger) => {
        ledger.observe("lister", 7);
        ledger.observe("other", 6);
        ledger.observe("lister", 6);
      },
      want: "lister: the revision went back from 7 to 6",
    },
  ]
) {
  test(`Ledger reports ${name}`, () => {
    const ledger = new Ledger();
    story(ledger);
    assert.deepEqual(ledger.violations, [want]);
  });
}

test("takeAcknowledged() takes each revision of a resource once", () => {
  const ledger = new Ledger();
  for (const revision of [2, 3, 5]) ledger.acknowledge(CSRS, csr(`r${revision}`, revision), 0);
  assert.equal(ledger.newestAcknowledged(CSRS), 5);
  assert.deepEqual(ledger.takeAcknowledged(CSRS, 3), [2, 3]);
  assert.deepEqual(ledger.takeAcknowledged(CSRS, 9), [5]);
  assert.equal(ledger.newestAcknowledged(CSRS), 0);
  assert.deepEqual(ledger.takeAcknowledged("configmaps", 9), []);
});
