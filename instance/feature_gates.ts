/** The features that are off by default, under the names of kube-apiserver's feature gates. */
import { AppError } from "../core/errors.ts";
import { hasMlDsa, NO_ML_DSA } from "../core/pki/keys/ml_dsa.ts";

/** A feature that is off by default, and whether it is turned on. */
export interface FeatureGate {
  readonly name: "MLDSA";
  readonly isOn: boolean;
}

export function allowsMlDsa(gates: readonly FeatureGate[]): boolean {
  return gates.findLast(({ name }) => name === "MLDSA")?.isOn ?? false;
}

/** Reports whether the gates allow ML-DSA. AppError `config_invalid` when they do on a runtime that does not have it. */
export function openMlDsaGate(gates: readonly FeatureGate[]): boolean {
  const isOpen = allowsMlDsa(gates);
  if (isOpen && !hasMlDsa()) throw new AppError("config_invalid", `cannot turn on the feature MLDSA: ${NO_ML_DSA}`);
  return isOpen;
}
