import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../kube/certificates_v1.ts";
import { planTrustBundles } from "./trust_bundle_plan.ts";

const SIGNER = "example.com/pods/web";
/** The name that `constructBundleName` of upstream gives the bundle `PEM`. */
const NAME = "example.com:pods:web:384fb9a44fabe158be2757b9";

const NOW = new Date("2026-05-04T12:00:00Z");
const HOUR_MS = 3_600_000;

function bundle(name: string, trustBundle: string, signerName = SIGNER, ageHours = 100): ClusterTrustBundle {
  const creationTimestamp = new Date(NOW.getTime() - ageHours * HOUR_MS).toISOString();
  return { metadata: { name, resourceVersion: "7", creationTimestamp }, spec: { signerName, trustBundle } };
}

for (
  const { name, existing, want } of [
    { name: "creates the first bundle", existing: [], want: { verb: "create", deletions: [] } },
    { name: "leaves a bundle as it is", existing: [bundle(NAME, "PEM")], want: { verb: undefined, deletions: [] } },
    { name: "corrects a bundle", existing: [bundle(NAME, "other")], want: { verb: "update", deletions: [] } },
    {
      name: "deletes the earlier bundles of the signer, and no others",
      existing: [bundle(NAME, "PEM"), bundle("old", "OLD"), bundle("foreign", "X", "example.com/other")],
      want: { verb: undefined, deletions: ["old"] },
    },
  ]
) {
  test(`planTrustBundles() ${name}`, () => {
    const { write, deletions } = planTrustBundles(SIGNER, { trustBundle: "PEM" }, existing, NOW);
    assert.equal(write?.verb, want.verb);
    assert.deepEqual(deletions.map(({ metadata }) => metadata.name), want.deletions);
    if (write === undefined) return;
    assert.equal(write.bundle.metadata.name, NAME);
    assert.deepEqual(write.bundle.spec, { signerName: SIGNER, trustBundle: "PEM" });
    // An update is guarded by the version that was read.
    assert.equal(write.bundle.metadata.resourceVersion, write.verb === "update" ? "7" : undefined);
  });
}

for (
  const { name, existing, want } of [
    {
      name: "keeps an earlier bundle when it creates the new one",
      existing: [bundle("old", "OLD")],
      want: { deletions: [], keptForMs: 24 * HOUR_MS },
    },
    {
      name: "keeps an earlier bundle until the new one has been there for long enough",
      existing: [bundle(NAME, "PEM", SIGNER, 20), bundle("old", "OLD")],
      want: { deletions: [], keptForMs: 4 * HOUR_MS },
    },
    {
      name: "deletes an earlier bundle then",
      existing: [bundle(NAME, "PEM", SIGNER, 24), bundle("old", "OLD")],
      want: { deletions: ["old"], keptForMs: undefined },
    },
    {
      name: "keeps the newer bundle of a CA that was replaced by its predecessor",
      existing: [bundle(NAME, "PEM"), bundle("newer", "NEW", SIGNER, 1), bundle("old", "OLD")],
      want: { deletions: ["old"], keptForMs: 23 * HOUR_MS },
    },
  ]
) {
  test(`planTrustBundles() for a day ${name}`, () => {
    const { deletions, keptForMs } = planTrustBundles(SIGNER, { trustBundle: "PEM" }, existing, NOW, 24 * HOUR_MS);
    assert.deepEqual({ deletions: deletions.map(({ metadata }) => metadata.name), keptForMs }, want);
  });
}
