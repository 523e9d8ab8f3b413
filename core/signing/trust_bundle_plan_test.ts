import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../kube/kinds/certificates_v1.ts";
import { planTrustBundles } from "./trust_bundle_plan.ts";

const SIGNER = "example.com/pods/web";
/** The name that `constructBundleName` of upstream gives the bundle `PEM`. */
const NAME = "example.com:pods:web:384fb9a44fabe158be2757b9";

const NOW = new Date("2026-05-04T12:00:00Z");
const HOUR_MS = 3_600_000;

const own = { "tlsboot/a": "1" };
/** The bundle that is wanted, with annotations. */
const annotated = (annotations: Record<string, string>): ClusterTrustBundle => {
  const plain = bundle(NAME, "PEM");
  return { ...plain, metadata: { ...plain.metadata, annotations } };
};

function bundle(name: string, trustBundle: string, signerName = SIGNER, ageHours = 100): ClusterTrustBundle {
  const creationTimestamp = new Date(NOW.getTime() - ageHours * HOUR_MS).toISOString();
  return { metadata: { name, resourceVersion: "7", creationTimestamp }, spec: { signerName, trustBundle } };
}

for (
  const { name, existing, annotations, want } of [
    { name: "creates the first bundle", existing: [], want: { verb: "create", deletions: [] } },
    { name: "leaves a bundle as it is", existing: [bundle(NAME, "PEM")], want: { verb: undefined, deletions: [] } },
    {
      name: "corrects a bundle",
      existing: [bundle(NAME, "other")],
      want: { verb: "update", deletions: [], annotations: {} },
    },
    {
      name: "annotates a new bundle",
      existing: [],
      annotations: own,
      want: { verb: "create", deletions: [], annotations: own },
    },
    {
      name: "leaves an annotated bundle as it is",
      existing: [annotated({ ...own, "example.com/x": "x" })],
      annotations: own,
      want: { verb: undefined, deletions: [] },
    },
    {
      name: "replaces its own annotations alone",
      existing: [annotated({ "tlsboot/b": "0", "example.com/x": "x" })],
      annotations: own,
      want: { verb: "update", deletions: [], annotations: { ...own, "example.com/x": "x" } },
    },
    {
      name: "deletes the earlier bundles of the signer, and no others",
      existing: [bundle(NAME, "PEM"), bundle("old", "OLD"), bundle("foreign", "X", "example.com/other")],
      want: { verb: undefined, deletions: ["old"] },
    },
  ]
) {
  test(`planTrustBundles() ${name}`, () => {
    const content = { trustBundle: "PEM", ...(annotations === undefined ? {} : { annotations }) };
    const { write, deletions } = planTrustBundles(SIGNER, content, existing, NOW);
    assert.equal(write?.verb, want.verb);
    assert.deepEqual(deletions.map(({ metadata }) => metadata.name), want.deletions);
    if (write === undefined) return;
    assert.equal(write.bundle.metadata.name, NAME);
    assert.deepEqual(write.bundle.metadata.annotations, want.annotations);
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
