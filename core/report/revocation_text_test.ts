import assert from "node:assert/strict";
import { test } from "node:test";
import { createRevocation, type RevocationTarget } from "../revocation/revocation.ts";
import { createRecords, type RecordEdit } from "../../tests/support/issued_records.ts";
import type { RevocationPlan } from "./revocation_text.ts";
import { describeNextSteps, describePlan } from "./revocation_text.ts";

const NOW = new Date("2026-06-01T00:00:00Z");

function createPlan(target: RevocationTarget, unidentified: readonly RecordEdit[]) {
  return {
    kind: "revoke",
    text: `${target.kind}/${target.value}`,
    target,
    revocation: createRevocation(target, { reason: "keyCompromise" }),
    certificates: [],
    unidentified: createRecords(unidentified),
    replaced: undefined,
    hasTokenSecret: false,
    isUnknown: false,
    isOwn: false,
  } satisfies RevocationPlan;
}

test("the certificates of unknown users that are valid are listed before and after a revocation", () => {
  const revocation = { name: "r", reason: "keyCompromise", time: null };
  const plan = createPlan({ kind: "user", value: "al" }, [
    { serialNumber: "0a", subject: "CN=a,CN=b" },
    { serialNumber: "0b", subject: "n1.example" },
    { serialNumber: "0c", notAfter: "2026-02-01T00:00:00Z" },
    { serialNumber: "0d", status: { revocation } },
  ]);
  const want =
    "the register does not identify the holder of 2 certificates, so they are not marked: 0a, 0b; look at each " +
    "with: tlsboot describe certificate, and revoke those of the user with: tlsboot revoke SERIAL";
  assert.deepEqual(describePlan(plan, NOW).slice(1), [`  ${want}`]);
  assert.deepEqual(describeNextSteps(plan, NOW), [want, "to let the user in again: tlsboot unrevoke user/al"]);
  assert.equal(describeNextSteps(createPlan({ kind: "user", value: "al" }, []), NOW).length, 1);
});
