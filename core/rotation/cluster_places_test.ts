/** The verdicts of the census beside a cluster, for each kind of place and each step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { type ClusterPlace, judgePlaces } from "./cluster_places.ts";
import type { RotatedCa } from "./file_rotation.ts";

const NOW = new Date("2026-11-25T12:00:00Z");
const trust = (...trusted: readonly RotatedCa[]): ClusterPlace => ({ kind: "trust", name: "it", trusted, fix: "do" });
const certificate = (issuer: RotatedCa | undefined, notAfter?: string): ClusterPlace => ({
  ...{ kind: "certificate", name: "it", issuer, fix: "do" },
  ...(notAfter === undefined ? {} : { notAfter: new Date(notAfter) }),
});

const LATER = "2027-01-01T00:00:00Z";

for (
  const { step, place, want } of [
    { step: "Trust", place: trust("old"), want: "does not trust the new CA, loses access: do" },
    { step: "Trust", place: trust("old", "new"), want: "trusts both" },
    { step: "Trust", place: trust("new"), want: "trusts the new CA only, not ready: do" },
    { step: "Switch", place: trust("new"), want: "trusts the new CA only: do" },
    { step: "Finish", place: trust("old", "new"), want: "still trusts the old CA, not ready: do" },
    { step: "Finish", place: trust("new"), want: "ready" },
    { step: "Finish", place: trust(), want: "does not trust the new CA, loses access: do" },
    { step: "Trust", place: certificate("old", LATER), want: `old certificate until ${LATER}, ready until the switch` },
    { step: "Switch", place: certificate("old", LATER), want: `old certificate until ${LATER}, loses access: do` },
    { step: "Switch", place: certificate("old", "2026-11-25T12:00:00Z"), want: "" },
    { step: "Switch", place: certificate("new", LATER), want: "ready" },
    { step: "Switch", place: certificate(undefined), want: "no certificate known, loses access: do" },
  ] satisfies readonly { step: CaRotationStep; place: ClusterPlace; want: string }[]
) {
  test(`judgePlaces() in ${step}: ${JSON.stringify(place)}`, () => {
    const text = judgePlaces([place], step, NOW).map(({ state, isReady, losesAccess, fix }) => {
      const verdict = isReady
        ? (losesAccess ? ", ready until the switch" : "")
        : losesAccess
        ? ", loses access"
        : ", not ready";
      return `${state}${verdict}${fix === undefined ? "" : `: ${fix}`}`;
    });
    assert.equal(text.join(), want);
  });
}
