/** The features that are off by default, under the names of kube-apiserver's feature gates. */
import { AppError } from "../core/errors.ts";
import { getPrivateKeyAlgorithm, isMlDsa, type KeyAlgorithm } from "../core/pki/keys/key_algorithm.ts";
import { hasMlDsa, NO_ML_DSA } from "../core/pki/keys/ml_dsa.ts";

/** A feature that is off by default, and whether it is turned on. */
export interface FeatureGate {
  readonly name: "MLDSA";
  readonly isOn: boolean;
}

/** Reports whether the gates allow ML-DSA. */
export function allowsMlDsa(gates: readonly FeatureGate[]): boolean {
  return gates.findLast(({ name }) => name === "MLDSA")?.isOn ?? false;
}

/** Reports whether the gates allow ML-DSA. AppError `config_invalid` when they do on a runtime that does not have it. */
export function openMlDsaGate(gates: readonly FeatureGate[]): boolean {
  const isOpen = allowsMlDsa(gates);
  if (isOpen && !hasMlDsa()) throw new AppError("config_invalid", `cannot turn on the feature MLDSA: ${NO_ML_DSA}`);
  return isOpen;
}

/** The hint for keys that the closed gate refuses. */
const GATE_HINT = "kube-apiserver 1.37 and older clients do not know ML-DSA; see: tlsboot guide post_quantum";

/** Throws AppError `usage` for a type of key that the gates refuse. */
export function checkKeyAlgorithm(algorithm: KeyAlgorithm, gates: readonly FeatureGate[]): void {
  if (allowsMlDsa(gates) || !isMlDsa(getPrivateKeyAlgorithm(algorithm))) return;
  const message = `the setting keyAlgorithm ${algorithm} needs the setting featureGates=MLDSA=true`;
  throw new AppError("usage", message, { hint: GATE_HINT });
}

/** Throws AppError `usage` for a key in a file that the gates refuse; `setting` is the setting that names the file. */
export function checkGivenKey(keyAlgorithm: string, gates: readonly FeatureGate[], setting: string): void {
  if (allowsMlDsa(gates) || !isMlDsa(keyAlgorithm)) return;
  const message = `the setting ${setting}: the key is ${keyAlgorithm}, which needs the setting featureGates=MLDSA=true`;
  throw new AppError("usage", message, { hint: GATE_HINT });
}
