import assert from "node:assert/strict";
import { test } from "node:test";
import type { TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createTestApp } from "../../tests/support/test_app.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import { SECOND_TRUST_ANCHOR, TRUST_ANCHOR } from "../../tests/support/trust_anchor.ts";

const NOW = new Date("2026-11-28T10:00:00Z");
const ROTATIONS = "/apis/tlsboot/v1alpha1/carotations";
const REPORTS = "/apis/tlsboot/v1alpha1/trustreports";

test("a user is reported with the CA of the certificate only during a rotation, once per CA and ten minutes", async () => {
  const [ca, otherCa] = [await createClientCa(NOW), await createClientCa(NOW)];
  const clock = createFakeClock(NOW.toISOString());
  await using app = await createTestApp({ clock, clientCas: () => [ca.certificate, otherCa.certificate] });
  const subject = { commonName: "alice", organizations: [] };
  const [peer, otherPeer] = [await verifiedPeer(ca, NOW, subject), await verifiedPeer(otherCa, NOW, subject)];
  const use = (one: typeof peer) => app.send("GET", "/version", { user: undefined, peer: one });
  const report = async () => {
    const { items } = JSON.parse((await app.send("GET", REPORTS)).text) as { readonly items: readonly TrustReport[] };
    return items.find(({ status }) => status.username === "alice");
  };
  await use(peer);
  const spec = { step: "Trust", isLeaked: true, oldCA: TRUST_ANCHOR, newCA: SECOND_TRUST_ANCHOR };
  await app.send("POST", ROTATIONS, { body: { metadata: { name: "ca" }, spec } });
  assert.equal(await report(), undefined);

  await use(peer);
  const seen = await eventually("alice is reported", report);
  const { metadata, spec: { trusted }, status } = seen;
  assert.deepEqual([metadata.name, trusted, status.issuer, status.lastSeen], [
    "user:alice",
    undefined,
    ca.certificate.sha256Fingerprint,
    "2026-11-28T10:00:00Z",
  ]);
  await clock.advance(9 * 60_000);
  await use(peer);
  await use(otherPeer);
  const other = await eventually("alice is reported with the other CA", async () => {
    const found = await report();
    return found?.status.issuer === otherCa.certificate.sha256Fingerprint ? found : undefined;
  });
  assert.equal(other.status.lastSeen, "2026-11-28T10:09:00Z");
  await clock.advance(60_000);
  await use(peer);
  await eventually("alice is seen again", async () => {
    return (await report())?.status.lastSeen === "2026-11-28T10:10:00Z" || undefined;
  });
});
