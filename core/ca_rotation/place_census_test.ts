/** The census beside a cluster, for each kind of place and each step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRotation, CaRotationStatus, CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { RotatedCa } from "./rotation_rules.ts";
import { describeState } from "./census.ts";
import { type ClusterPlace, takePlaceCensus } from "./place_census.ts";

const NOW = new Date("2026-11-25T12:00:00Z");
const LATER = "2027-01-01T00:00:00Z";
const trust = (...trusted: readonly RotatedCa[]): ClusterPlace => ({ kind: "place", name: "it", trusted, fix: "do" });
const certificate = (issuer: RotatedCa | undefined, notAfter = LATER): ClusterPlace => ({
  ...{ kind: "node", name: "n1", issuer, fix: "do" },
  notAfter: new Date(notAfter),
});

/** After an abort, a file keeps the time of the switch. */
const ABORTED: Partial<CaRotationStatus> = { switchedAt: "2026-11-25T10:00:00Z" };

for (
  const { step, status = {}, place, want } of [
    { step: "Trust", place: trust("old"), want: "does not trust the new CA, loses access: do" },
    { step: "Trust", place: trust("old", "new"), want: "ready" },
    { step: "Trust", place: trust("new"), want: "trusts the new CA only: do" },
    { step: "Switch", place: trust("new"), want: "ready" },
    { step: "Finish", place: trust("old", "new"), want: "still trusts the old CA: do" },
    { step: "Finish", place: trust("new"), want: "ready" },
    { step: "Finish", place: trust(), want: "does not trust the new CA, loses access: do" },
    { step: "Trust", place: certificate("old"), want: "ready" },
    { step: "Switch", place: certificate("old"), want: `old certificate until ${LATER}, loses access: do` },
    { step: "Switch", place: certificate("old", "2026-11-25T12:00:00Z"), want: "" },
    { step: "Switch", place: certificate("new"), want: "ready" },
    { step: "Switch", place: certificate(undefined), want: "no certificate known, loses access: do" },
    { step: "Trust", status: ABORTED, place: trust("new"), want: "trusts the new CA only, loses access: do" },
    { step: "Trust", status: ABORTED, place: trust("old", "new"), want: "ready" },
    {
      step: "Trust",
      status: ABORTED,
      place: certificate("new"),
      want: `old certificate until ${LATER}, loses access: do`,
    },
    { step: "Trust", status: ABORTED, place: certificate("new", "2026-11-25T12:00:00Z"), want: "" },
    { step: "Trust", status: ABORTED, place: certificate("old"), want: "ready" },
    { step: "Trust", status: ABORTED, place: certificate(undefined), want: "ready" },
  ] satisfies readonly {
    step: CaRotationStep;
    status?: Partial<CaRotationStatus>;
    place: ClusterPlace;
    want: string;
  }[]
) {
  test(`takePlaceCensus() in ${step}${status === ABORTED ? " after an abort" : ""}: ${JSON.stringify(place)}`, () => {
    const rotation: CaRotation = {
      metadata: { name: "ca" },
      spec: { step, oldCA: "", newCA: "" },
      status: { beganAt: "2026-11-25T09:00:00Z", ...status },
    };
    const text = takePlaceCensus([place], rotation, NOW).map((row) =>
      `${describeState(row)}${row.losesAccess ? ", loses access" : ""}${
        row.command === undefined ? "" : `: ${row.command}`
      }`
    );
    assert.equal(text.join(), want);
  });
}
