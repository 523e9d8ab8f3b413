import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../kube/certificates_v1.ts";
import { planTrustBundles } from "./trust_bundle.ts";

const SIGNER = "example.com/pods/web";
/** The name that `constructBundleName` of upstream gives the bundle `PEM`. */
const NAME = "example.com:pods:web:384fb9a44fabe158be2757b9";

function bundle(name: string, trustBundle: string, signerName = SIGNER): ClusterTrustBundle {
  return { metadata: { name, resourceVersion: "7" }, spec: { signerName, trustBundle } };
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
    const { write, deletions } = planTrustBundles(SIGNER, "PEM", existing);
    assert.equal(write?.verb, want.verb);
    assert.deepEqual(deletions.map(({ metadata }) => metadata.name), want.deletions);
    if (write === undefined) return;
    assert.equal(write.bundle.metadata.name, NAME);
    assert.deepEqual(write.bundle.spec, { signerName: SIGNER, trustBundle: "PEM" });
    // An update is guarded by the version that was read.
    assert.equal(write.bundle.metadata.resourceVersion, write.verb === "update" ? "7" : undefined);
  });
}
