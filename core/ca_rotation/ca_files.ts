/**
 * The plan of a CA's files during a rotation. Next to the certificate and key that sign, the files `next-…` hold a
 * trusted CA that will sign, and the files `old-…` a trusted CA that signed before.
 */
import type { CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** One of the two pairs of files in addition to those that sign. */
export type CaSlot = "next" | "old";

/** The CAs on disk, as the SHA-256 (hex) of their certificates. */
export interface CaSlots {
  /** The CA whose key signs at present. */
  readonly current: string;
  readonly next: string | undefined;
  readonly old: string | undefined;
}

/** The CAs of a rotation, also as SHA-256 (hex), and the step to adopt. */
export interface CaTarget {
  readonly step: CaRotationStep;
  readonly oldCa: string;
  readonly newCa: string;
}

/** One change of the files. After a crash at any moment, it can be repeated. */
export type CaFileStep =
  /** Write the new CA into the slot `next`. */
  | { readonly kind: "adopt" }
  /** Let the CA in the slot `from` sign, and move the one that has signed into the slot `keep`. */
  | { readonly kind: "swap"; readonly from: CaSlot; readonly keep: CaSlot }
  /** Rename the CA in the slot after its fingerprint, for the operator to destroy. */
  | { readonly kind: "retire"; readonly slot: CaSlot };

/**
 * Plans the files for a step of a rotation. Without a rotation, only the current CA is kept. The error says why this
 * server cannot adopt the step.
 */
export function planCaFiles(target: CaTarget | undefined, slots: CaSlots): Result<readonly CaFileStep[], string> {
  if (target === undefined) return ok([...retire(slots, "next"), ...retire(slots, "old")]);
  const { step, oldCa, newCa } = target;
  const { current } = slots;
  if (current !== oldCa && current !== newCa) {
    return err("its CA is neither the old nor the new one: copy the CA of another server of the installation to it");
  }
  const wanted = step === "Trust" ? oldCa : newCa;
  const ready = step === "Trust" ? { next: newCa } : step === "Switch" ? { old: oldCa } : {};
  const steps: CaFileStep[] = [];
  if (current === wanted) {
    steps.push(...retireOthers(slots, ready));
    if (step === "Trust" && slots.next !== newCa) steps.push({ kind: "adopt" });
    return ok(steps);
  }
  if (step === "Trust") {
    if (slots.old !== oldCa) return err("it no longer has the files of the old CA: put back old-….crt and old-….key");
    return ok([...retireOthers(slots, { old: oldCa, next: current }), { kind: "swap", from: "old", keep: "next" }]);
  }
  steps.push(...retireOthers(slots, { next: newCa, old: current }));
  if (slots.next !== newCa) steps.push({ kind: "adopt" });
  steps.push({ kind: "swap", from: "next", keep: "old" });
  if (step === "Finish") steps.push({ kind: "retire", slot: "old" });
  return ok(steps);
}

/** Retires the CAs in the slots other than the wanted ones. */
function retireOthers(slots: CaSlots, wanted: { readonly [S in CaSlot]?: string }): readonly CaFileStep[] {
  return (["next", "old"] as const).flatMap((slot) => slots[slot] === wanted[slot] ? [] : retire(slots, slot));
}

function retire(slots: CaSlots, slot: CaSlot): readonly CaFileStep[] {
  return slots[slot] === undefined ? [] : [{ kind: "retire", slot }];
}
