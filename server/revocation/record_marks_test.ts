import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { createRecord, describeIssued, formatRecordName } from "../../core/register/record.ts";
import { RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { createRevocation } from "../../core/revocation/revocation.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import { REGISTER_PREFIX } from "../register/register.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { RecordMarks } from "./record_marks.ts";

const NOW = new Date("2026-11-28T02:00:00Z");
const NEVER = new AbortController().signal;

test("RecordMarks marks a record that another server changed at the same moment in the next update", async () => {
  const peer = await verifiedPeer(await createClientCa(NOW), NOW, { commonName: "alice" });
  const facts = parseCertificate(peer.chain[0]!);
  assert.ok(facts.ok);
  const description = describeIssued(facts.value, { source: "CertificateSigningRequest" });
  const record: IssuedCertificate = {
    metadata: { name: formatRecordName(1), uid: "1", creationTimestamp: NOW.toISOString() },
    spec: createRecord(description, { sequence: 1, issuedAt: NOW }),
    status: {},
  };
  const storage = createMemoryStorage({ clock: createFakeClock(NOW) });
  const key = `${REGISTER_PREFIX}${formatRecordName(1)}`;
  await storage.create(key, storedForm(issuedCertificateKind.schema, record));
  const records = new RecordedCertificates();
  records.put(record);
  const index = new RevocationIndex(records.findByFingerprint);
  index.put(createRevocation({ kind: "user", value: "alice" }, { reason: "keyCompromise" }));
  let conflicts = 0;
  const update = storage.update.bind(storage);
  storage.update = (...write) => {
    if (conflicts++ === 0) return Promise.reject(new AppError("conflict", "the record has changed"));
    return update(...write);
  };
  const marks = new RecordMarks({
    storage,
    revocations: { index, records, onChange: () => {}, onRecord: () => {} },
  });

  assert.equal(await marks.update(NEVER), 0);
  assert.ok(marks.isDue);
  assert.equal(await marks.update(NEVER), 1);
  const marked = (await storage.get(key))?.object as IssuedCertificate;
  assert.equal(marked.status.revocation?.reason, "keyCompromise");
  assert.equal(marks.isDue, false);
});
