import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCertificate } from "../../core/pki/certificate.ts";
import { findPemBlock } from "../../core/pki/pem.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { IssuedCertificates, type KnownCertificate } from "./issued_certificates.ts";

const CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const START = 1_800_000_000;
const DAY = 86_400;

const at = (day: number) => new Date((START + day * DAY) * 1000);
const one = (subject: string, from: number, to: number, signerName = CLIENT): KnownCertificate => ({
  ...{ signerName, subject },
  ...{ since: START + from * DAY, until: START + to * DAY },
});

function holding(...entries: readonly KnownCertificate[]): IssuedCertificates {
  const issued = new IssuedCertificates();
  for (const entry of entries) issued.restore(entry);
  return issued;
}

for (
  const { name, entries, day = 0, want } of [
    { name: "each in all of its terms", entries: [one("a", 0, 5), one("b", 0, 60)], want: [[0, 0, 1, 1, 2, 2], 0] },
    { name: "none of its last day", entries: [one("a", 0, 0.5)], want: [[0, 1, 1, 1, 1, 1], 0] },
    { name: "certificates that are not renewed", entries: [one("a", 0, 100)], day: 91, want: [[0, 0, 0, 1, 1, 1], 1] },
    {
      name: "certificates that may still be renewed",
      entries: [one("a", 0, 100)],
      day: 89,
      want: [[0, 0, 0, 1, 1, 1], 0],
    },
    {
      name: "certificates that were renewed once",
      entries: [one("a", 0, 100), one("a", 80, 180)],
      day: 91,
      want: [[0, 0, 0, 0, 1, 1], 0],
    },
    {
      name: "the newest in any order, even if it ends earlier",
      entries: [one("a", 80, 85), one("a", 0, 100)],
      day: 81,
      want: [[0, 0, 1, 1, 1, 1], 0],
    },
    {
      name: "another subject's renewal as nothing to this one",
      entries: [one("a", 0, 100), one("b", 80, 180)],
      day: 91,
      want: [[0, 0, 0, 1, 2, 2], 1],
    },
    {
      name: "another signer's renewal as nothing to this one",
      entries: [one("a", 0, 100), one("a", 80, 180, SERVING)],
      day: 91,
      want: [[0, 0, 0, 1, 1, 1], 1],
    },
  ]
) {
  test(`IssuedCertificates counts ${name}`, () => {
    const summary = holding(...entries).summarize(at(day)).get(CLIENT);
    assert.deepEqual([summary?.within, summary?.overdue], want);
  });
}

test("IssuedCertificates forgets ended certificates", () => {
  const issued = holding(one("a", 0, 1), one("b", 0, 2), one("c", 0, 1, SERVING));
  const soonest = (day: number) => [...issued.summarize(at(day))].map(([, found]) => found.soonest);
  assert.deepEqual(soonest(0), [START + DAY, START + DAY]);
  assert.equal(issued.size, 3);
  issued.summarize(at(1));
  assert.equal(issued.size, 1);
  assert.deepEqual(soonest(1), [START + 2 * DAY, Infinity]);
  assert.deepEqual([...issued.entries()], [one("b", 0, 2)]);
});

test("IssuedCertificates reports unknown signers as other, and tracks them separately", () => {
  const issued = holding(one("a", 0, 100, "strange.io/a"), one("a", 90, 190, "strange.io/b"));
  assert.deepEqual([...issued.summarize(at(95)).keys()], ["other"]);
  assert.equal(issued.summarize(at(95)).get("other")?.overdue, 1);
  assert.equal(new IssuedCertificates(["strange.io/a"]).getSignerLabel("strange.io/a"), "strange.io/a");
});

test("IssuedCertificates tracks a limited number, counts the others, and still sees renewals", () => {
  const issued = new IssuedCertificates([], 2);
  for (const subject of ["a", "b", "c", "d"]) issued.restore(one(subject, 0, 100));
  assert.deepEqual([issued.size, issued.untracked], [2, 2]);
  issued.restore(one("a", 80, 180));
  assert.equal(issued.summarize(at(91)).get(CLIENT)?.overdue, 1);
  issued.summarize(at(101));
  issued.restore(one("c", 101, 200));
  assert.deepEqual([issued.size, issued.untracked], [2, 2]);
});

test("IssuedCertificates reports each certificate once when it becomes overdue", () => {
  const issued = holding(one("a", 0, 100), one("b", 0, 200), one("ended", 0, 50));
  const reported = (from: number, to: number) =>
    [...issued.becameOverdue(at(from), at(to))].map(({ subject }) => subject);
  assert.deepEqual([reported(0, 89), reported(89, 95), reported(95, 99), reported(0, 185)], [[], ["a"], [], ["b"]]);
});

test("IssuedCertificates identifies a certificate by its name, and cuts a long one", async () => {
  const ca = await createSigningCa();
  const issued = new IssuedCertificates();
  const names = ["system:node:n1", `${"x".repeat(300)}1`, `${"x".repeat(300)}2`];
  for (const name of names) {
    const pem = await issueClientCertificate(ca, at(0), at(1), name);
    const leaf = parseCertificate(findPemBlock(pem)?.block.bytes ?? new Uint8Array());
    assert.ok(leaf.ok);
    issued.add(CLIENT, leaf.value);
    issued.add(CLIENT, leaf.value);
  }
  const [short, ...long] = [...issued.entries()];
  assert.deepEqual(short, one("CN=system:node:n1", 0, 1));
  assert.equal(long.length, 2);
  for (const { subject } of long) assert.match(subject, /^CN=x{197}… [0-9a-f]{64}$/);
});
