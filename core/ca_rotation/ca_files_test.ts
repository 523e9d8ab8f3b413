import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { type CaSlots, planCaFiles } from "./ca_files.ts";

const slots = (current: string, next?: string, old?: string): CaSlots => ({ current, next, old });

for (
  const { name, step, on, want } of [
    { name: "a server that has not adopted the rotation", step: "Trust", on: slots("O"), want: "adopt" },
    { name: "one that has adopted it", step: "Trust", on: slots("O", "N"), want: "" },
    { name: "one with another next CA", step: "Trust", on: slots("O", "X"), want: "retire next, adopt" },
    { name: "one that goes back", step: "Trust", on: slots("N", undefined, "O"), want: "swap old→next" },
    { name: "one that lost the old CA", step: "Trust", on: slots("N"), want: "no longer has" },
    {
      name: "one that was killed before the swap back",
      step: "Trust",
      on: slots("N", "N", "O"),
      want: "swap old→next",
    },
    { name: "one that trusts both", step: "Switch", on: slots("O", "N"), want: "swap next→old" },
    { name: "one that was down at Trust", step: "Switch", on: slots("O"), want: "adopt, swap next→old" },
    { name: "one that was killed before the swap", step: "Switch", on: slots("O", "N", "O"), want: "swap next→old" },
    { name: "one that has switched", step: "Switch", on: slots("N", undefined, "O"), want: "" },
    { name: "one with a leftover CA", step: "Switch", on: slots("O", "N", "X"), want: "retire old, swap next→old" },
    { name: "one that has switched", step: "Finish", on: slots("N", undefined, "O"), want: "retire old" },
    {
      name: "one that was down the whole time",
      step: "Finish",
      on: slots("O"),
      want: "adopt, swap next→old, retire old",
    },
    { name: "one that has finished", step: "Finish", on: slots("N"), want: "" },
    { name: "one with another CA", step: "Trust", on: slots("X"), want: "neither the old nor the new" },
    {
      name: "one that was down when the rotation was aborted",
      step: undefined,
      on: slots("O", "N"),
      want: "retire next",
    },
    {
      name: "one that was down when the record was deleted",
      step: undefined,
      on: slots("N", undefined, "O"),
      want: "retire old",
    },
  ] satisfies readonly { name: string; step: CaRotationStep | undefined; on: CaSlots; want: string }[]
) {
  test(`planCaFiles() for ${step ?? "no rotation"} and ${name}: ${want === "" ? "nothing" : want}`, () => {
    const plan = planCaFiles(step === undefined ? undefined : { step, oldCa: "O", newCa: "N" }, on);
    const text = plan.ok
      ? plan.value.map((one) =>
        one.kind === "swap" ? `swap ${one.from}→${one.keep}` : one.kind === "retire" ? `retire ${one.slot}` : one.kind
      ).join(", ")
      : plan.error;
    if (plan.ok) assert.equal(text, want);
    else assert.match(text, new RegExp(want === "" ? "^$" : want));
  });
}
