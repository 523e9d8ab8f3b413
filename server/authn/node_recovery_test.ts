import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY_MS } from "../../core/lib/duration.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { describeIssued } from "../../core/register/record.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import type { PeerCertificate } from "./authentication.ts";
import { createMetricsRegistry } from "../metrics/registry.ts";
import { NodeRecovery } from "./node_recovery.ts";
import { Register } from "../register/register.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";

const SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
const START = new Date("2026-11-28T02:00:00Z");
const PLAIN: SubjectFields = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const ca = await createClientCa(START);

function readLeaf({ chain }: PeerCertificate): CertificateFacts {
  const facts = parseCertificate(chain[0]!);
  assert.ok(facts.ok);
  return facts.value;
}

/** Records a certificate for each subject, one a day, and then recovers with the first one. */
async function recoverWith(
  first: SubjectFields,
  later: readonly SubjectFields[],
  edit: { readonly subject?: string } = {},
): Promise<string> {
  const clock = createFakeClock(START.toISOString());
  await using storage = createMemoryStorage({ clock });
  const random = createSeededRandom();
  using register = await Register.open({ storage, clock, random });
  const peers: PeerCertificate[] = [];
  for (const [index, subject] of [first, ...later].entries()) {
    const peer = await verifiedPeer(ca, new Date(START.getTime() + index * DAY_MS), subject);
    peers.push(peer);
    const description = describeIssued(readLeaf(peer), { source: "CertificateSigningRequest", signerName: SIGNER });
    const { identifies: _identifies, ...earlier } = description;
    const isEdited = index > 0 && edit.subject !== undefined;
    await register.record(isEdited ? { ...earlier, ...edit } : description, []);
  }
  await clock.advance(10 * DAY_MS);
  const logger = createMemoryLogger();
  const registry = createMetricsRegistry();
  const limits = { graceMs: 90 * DAY_MS, perHour: 10 };
  const recovery = new NodeRecovery({ storage, register, registry, clock, random, logger, ...limits });
  const result = await recovery.authenticate(peers[0]!, [ca.certificate], "192.0.2.1");
  return result.kind === "user" ? result.user.username : result.kind === "failed" ? result.reason : result.kind;
}

for (
  const { name, edit } of [
    { name: "plain", edit: {} },
    { name: "OU=x", edit: { organizationalUnits: ["x"] } },
    { name: "an empty OU", edit: { organizationalUnits: [""] } },
    { name: "C=DE", edit: { countries: ["DE"] } },
    { name: "an empty C", edit: { countries: [""] } },
    { name: "serialNumber=5", edit: { serialNumber: "5" } },
  ]
) {
  test(`an expired certificate does not recover a node that has a newer one: ${name}`, async () => {
    const newer = /a newer certificate was issued for "system:node:n1"/;
    const unusual = { ...PLAIN, ...edit };
    assert.match(await recoverWith(unusual, [PLAIN]), newer);
    assert.match(await recoverWith(PLAIN, [unusual]), newer);
    const others = [{ ...PLAIN, commonName: "system:node:n2" }, { commonName: "alice" }];
    assert.equal(await recoverWith(unusual, others), "system:node:n1");
  });
}

test("an expired certificate recovers no node while a later certificate may belong to any node", async () => {
  assert.match(
    await recoverWith(PLAIN, [PLAIN], { subject: "CN=system:node:n1,CN=system:node:n2" }),
    /does not say which node record 2 is for, so it may be a newer certificate of this node/,
  );
  // An earlier build on the same etcd records no user, but a subject that can be parsed.
  const subject = "CN=system:node:n1,OU=,O=system:nodes";
  assert.match(await recoverWith(PLAIN, [PLAIN], { subject }), /a newer certificate was issued/);
});
