import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger, type Shown, toManualDecision } from "./ledger.ts";

function csr(name: string, revision: number, certificate?: string): Shown {
  const metadata = { name, uid: `uid-${name}`, resourceVersion: `${revision}` };
  const conditions = [{ type: "Approved" }];
  return { metadata, ...(certificate === undefined ? {} : { status: { certificate, conditions } }) };
}

test("Ledger counts each certificate once, and records the newest revision", () => {
  const ledger = new Ledger();
  for (const shown of [csr("a", 4, "one"), csr("a", 5, "one"), csr("b", 3), csr("c", 6, "two")]) ledger.show(shown);
  ledger.see(5);
  ledger.acknowledge("write");
  ledger.acknowledge("deletion");
  assert.deepEqual(ledger.violations, []);
  assert.deepEqual(ledger.counts, { certificates: 2, writes: 1, deletions: 1 });
  assert.equal(ledger.newest, 6);
  assert.deepEqual(ledger.listShownCertificates().map(({ uid }) => uid), ["uid-a", "uid-c"]);
});

test("Ledger reports a certificate without an approval", () => {
  const ledger = new Ledger();
  ledger.show({ ...csr("a", 2), status: { certificate: "one" } });
  assert.deepEqual(ledger.violations, ["a: has a certificate, and was not approved"]);
});

test("Ledger reports an approval that was meant for another request of the same name", () => {
  const ledger = new Ledger();
  for (const uid of ["uid-a", "uid-b"]) {
    ledger.show({ ...csr("a", 2), status: { conditions: [{ type: "Approved", ...toManualDecision(uid, "me") }] } });
  }
  assert.deepEqual(ledger.violations, ["a: was Approved in the place of uid-b by me"]);
});

test("Ledger reports a request that is signed twice", () => {
  const ledger = new Ledger();
  ledger.show(csr("a", 2, "one"));
  ledger.show(csr("a", 3, "two"));
  assert.deepEqual(ledger.violations, ["a: was signed twice, two different certificates were shown"]);
});
