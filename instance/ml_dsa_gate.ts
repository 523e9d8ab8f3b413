/** Opens the feature gate MLDSA of commands that verify signatures of ML-DSA. */
import { AppError } from "../core/errors.ts";
import { hasMlDsa, NO_ML_DSA } from "../core/pki/keys/ml_dsa.ts";
import { allowsMlDsa, type FeatureGate } from "../cli/flags/feature_gates.ts";

/** Reports whether the gates allow ML-DSA. AppError `config_invalid` when they do on a runtime that does not have it. */
export function openMlDsaGate(gates: readonly FeatureGate[]): boolean {
  const isOpen = allowsMlDsa(gates);
  if (isOpen && !hasMlDsa()) throw new AppError("config_invalid", `cannot turn on the feature MLDSA: ${NO_ML_DSA}`);
  return isOpen;
}
