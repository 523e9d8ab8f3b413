import assert from "node:assert/strict";
import { test } from "node:test";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { RegisterIndex } from "../register/index.ts";
import type { Stored } from "../storage/storage.ts";
import { createStored } from "../storage/stored.ts";
import { IssuedCertificates } from "./issued_certificates.ts";

const CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const START = 1_800_000_000;
const DAY = 86_400;

const at = (day: number) => new Date((START + day * DAY) * 1000);
interface Entry {
  readonly signerName: string;
  readonly subject: string;
  readonly from: number;
  readonly to: number;
}

const one = (subject: string, from: number, to: number, signerName = CLIENT): Entry => ({
  signerName,
  subject,
  from,
  to,
});

/** A register of certificates, whose times are in days since the start. */
function holding(...entries: readonly Entry[]): IssuedCertificates {
  const index = new RegisterIndex();
  for (const [position, { signerName, subject, from, to }] of entries.entries()) {
    const [notBefore, notAfter] = [from, to].map((day) => at(day).toISOString());
    const spec = {
      sequence: position + 1,
      signerName,
      subject,
      notBefore: notBefore!,
      notAfter: notAfter!,
      issuedAt: null,
    };
    const object: IssuedCertificate = { metadata: { name: String(position) }, spec, status: {} };
    index.added(String(position), createStored("", object, 1) as Stored<IssuedCertificate>);
  }
  return new IssuedCertificates(index, ["own.example/a"]);
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

test("IssuedCertificates does not count ended certificates, and reports their signers as zero", () => {
  const issued = holding(one("a", 0, 1), one("b", 0, 2), one("c", 0, 1, SERVING));
  const soonest = (day: number) => [...issued.summarize(at(day))].map(([, found]) => found.soonest);
  assert.deepEqual(soonest(0), [START + DAY, START + DAY]);
  assert.deepEqual(soonest(1), [START + 2 * DAY, Infinity]);
});

test("IssuedCertificates reports unknown signers as other, and counts them separately", () => {
  const issued = holding(one("a", 0, 100, "strange.io/a"), one("a", 90, 190, "strange.io/b"));
  assert.deepEqual([...issued.summarize(at(95)).keys()], ["other"]);
  assert.equal(issued.summarize(at(95)).get("other")?.overdue, 1);
  assert.equal(issued.getSignerLabel("own.example/a"), "own.example/a");
});

test("IssuedCertificates leaves out certificates that came without a signer", () => {
  const index = new RegisterIndex();
  const spec = { sequence: 1, source: "serving", notBefore: at(0).toISOString(), notAfter: at(9).toISOString() };
  index.added(
    "",
    createStored("", { metadata: {}, spec, status: {} } as IssuedCertificate, 1) as Stored<IssuedCertificate>,
  );
  assert.deepEqual([...new IssuedCertificates(index).summarize(at(1))], []);
});

test("IssuedCertificates reports each certificate once when it becomes overdue", () => {
  const issued = holding(one("a", 0, 100), one("b", 0, 200), one("ended", 0, 50));
  const reported = (from: number, to: number) =>
    [...issued.becameOverdue(at(from), at(to))].map(({ subject }) => subject);
  assert.deepEqual([reported(0, 89), reported(89, 95), reported(95, 99), reported(0, 185)], [[], ["a"], [], ["b"]]);
});
