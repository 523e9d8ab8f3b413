import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions } from "../../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { createRecords, type RecordEdit } from "../../../tests/support/issued_records.ts";
import { createSigningCa, issueClientCertificate } from "../../../tests/support/signing_ca.ts";
import { DAY_MS } from "../../lib/duration.ts";
import { encodeBase64 } from "../../lib/encodings.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { findLeafCertificate } from "../../request/issued_certificate.ts";
import { createNodeCertificateIndex, type NodeCertificateIndex } from "./node_certificate_index.ts";

const START = new Date("2026-02-01T00:00:00Z");
const END = new Date("2026-03-01T00:00:00Z");
const SUBJECT = "O=system:nodes,CN=system:node:n1";
const REVOKED = { status: { revocation: { name: "stolen", reason: "keyCompromise", time: "2026-02-01T00:00:00Z" } } };

const certificate = createSigningCa().then((ca) => issueClientCertificate(ca, new Date("2026-01-01T00:00:00Z"), END));
const fingerprint = certificate.then((pem) => findLeafCertificate(encodeBase64(pem))?.sha256Fingerprint ?? "");

/** An approved request of node n1, without its certificate. */
async function approve(name: string, edit: CsrOptions = {}): Promise<CertificateSigningRequest> {
  return await buildCsr({ name, conditions: [condition("Approved")], ...edit });
}

/** A request of node n1 with its certificate. */
async function issue(name: string): Promise<CertificateSigningRequest> {
  return await approve(name, { certificate: encodeBase64(await certificate) });
}

/** Adds the records of a register, by default of node n1. */
function addRecords(index: NodeCertificateIndex, ...edits: readonly RecordEdit[]): void {
  const records = createRecords(edits.map((edit) => ({ subject: SUBJECT, ...edit })));
  for (const record of records) index.putRecord(record);
}

function find(index: NodeCertificateIndex, exceptRequest = "", node = "n1"): readonly (string | undefined)[] {
  return index.find(node, exceptRequest).map((found) => found.fingerprint);
}

test("an approval counts until its request is deleted, fails or has a certificate", async () => {
  const index = createNodeCertificateIndex(createFakeClock(START));
  index.put(await buildCsr({ name: "a" }));
  assert.deepEqual(find(index), []);
  index.put(await approve("a"));
  assert.deepEqual(find(index), [undefined]);
  assert.deepEqual(find(index, "a"), [], "a request does not prevent itself");
  assert.deepEqual(find(index, "", "n2"), []);
  index.remove("a");
  assert.deepEqual(find(index), []);

  index.put(await approve("b"));
  index.put(await approve("b", { conditions: [condition("Approved"), condition("Failed")] }));
  assert.deepEqual(find(index), []);

  index.put(await approve("c"));
  index.put(await issue("c"));
  assert.deepEqual(find(index), [await fingerprint]);
});

test("two approvals of a node count both", async () => {
  const index = createNodeCertificateIndex(createFakeClock(START));
  for (const name of ["a", "b"]) index.put(await approve(name));
  assert.equal(find(index).length, 2);
  assert.equal(find(index, "b").length, 1);
  index.remove("a");
  assert.deepEqual(find(index, "b"), []);
  index.remove("never seen");
  assert.equal(find(index).length, 1);
});

test("a certificate outlives its request, but not its end", async () => {
  const clock = createFakeClock(START);
  const index = createNodeCertificateIndex(clock);
  index.put(await issue("a"));
  assert.deepEqual(find(index, "a"), [], "a request does not prevent itself");
  index.remove("a");
  assert.deepEqual(find(index, "a"), [await fingerprint], "a new request may have the same name");
  clock.jump(END.getTime() - START.getTime() - 1);
  index.put(await approve("a"));
  assert.deepEqual(find(index), [await fingerprint, undefined]);
  clock.jump(1);
  index.put(await approve("a"));
  assert.deepEqual(find(index), [undefined]);
});

test("the record of a certificate replaces its request, and a revocation stays", async () => {
  const index = createNodeCertificateIndex(createFakeClock(START));
  index.put(await issue("a"));
  addRecords(index, { fingerprint: await fingerprint });
  assert.deepEqual(find(index), [await fingerprint]);
  assert.deepEqual(find(index, "a"), [], "the record keeps the name of the request");
  addRecords(index, { fingerprint: await fingerprint, ...REVOKED });
  assert.deepEqual(find(index), []);
  index.put(await issue("a"));
  assert.deepEqual(find(index), [], "the request comes later than its revocation");
  index.remove("a");
  assert.deepEqual(find(index), []);
});

test("records of other users and of unknown expired certificates do not count", () => {
  const clock = createFakeClock(START);
  const index = createNodeCertificateIndex(clock);
  const serving = "kubernetes.io/kubelet-serving";
  addRecords(index, { subject: "CN=alice", signerName: serving }, { notAfter: "2026-01-31T00:00:00Z" });
  addRecords(index, { notAfter: START.toISOString() });
  assert.deepEqual(find(index), []);
  addRecords(index, { fingerprint: "f", notAfter: null });
  assert.deepEqual(find(index), ["f"]);
  clock.jump(DAY_MS);
  addRecords(index, { fingerprint: "g", notAfter: "2026-02-03T00:00:00Z" });
  assert.deepEqual(find(index), ["f", "g"]);
  clock.jump(9 * DAY_MS);
  addRecords(index, { fingerprint: "g", notAfter: "2026-02-03T00:00:00Z" });
  assert.deepEqual(find(index), ["f", "g"], "a known certificate is updated");
});

test("a certificate of an unknown node counts for each node", () => {
  const index = createNodeCertificateIndex(createFakeClock(START));
  addRecords(index, { fingerprint: "f", subject: "CN=system:node:n1,CN=system:node:n2" });
  assert.deepEqual(find(index), ["f"]);
  assert.deepEqual(find(index, "", "n3"), ["f"]);
});

test("a request that the register has counts no longer", async () => {
  let isRecorded = false;
  const index = createNodeCertificateIndex(createFakeClock(START), () => isRecorded);
  index.put(await approve("a"));
  assert.equal(find(index).length, 1);
  isRecorded = true;
  index.put(await issue("a"));
  assert.deepEqual(find(index), []);
  // The record has no request, so the deletion of the request changes nothing.
  addRecords(index, { fingerprint: await fingerprint });
  index.remove("a");
  assert.deepEqual(find(index), [await fingerprint]);
});

test("the nodes whose certificates changed longest ago are dropped first, and unknown nodes never", () => {
  const index = createNodeCertificateIndex(createFakeClock(START));
  addRecords(index, { fingerprint: "f", subject: "CN=system:node:x,CN=system:node:y" });
  const [record] = createRecords([{}]);
  assert.ok(record !== undefined);
  const add = (node: number) =>
    index.putRecord({
      ...record,
      spec: { ...record.spec, subject: `CN=system:node:n${node}`, fingerprint: `${node}` },
    });
  // With the unknown node, the index is full.
  for (let node = 1; node < 100_000; node++) add(node);
  add(1);
  assert.deepEqual(find(index, "", "n2"), ["2", "f"]);
  add(100_000);
  assert.deepEqual(find(index, "", "n2"), ["f"]);
  assert.deepEqual(find(index, "", "n1"), ["1", "f"]);
  assert.deepEqual(find(index, "", "n100000"), ["100000", "f"]);
});
