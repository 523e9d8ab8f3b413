/** The flag `--feature-gates`, in kube-apiserver's form, and the checks of commands that have it. */
import { err, ok, type Result } from "../../core/lib/result.ts";
import { getPrivateKeyAlgorithm, isMlDsa, type KeyAlgorithm } from "../../core/pki/keys/key_algorithm.ts";
import { parsedListFlag, parseSwitch } from "../framework/flags.ts";
import { UsageError } from "../framework/usage_error.ts";
import { allowsMlDsa, type FeatureGate } from "../../instance/feature_gates.ts";

/** The flag `--feature-gates`; of several values for one feature, the last one counts. */
export const FEATURE_GATES_FLAG = parsedListFlag({
  group: "Feature",
  placeholder: "NAME=BOOL",
  completion: { kind: "suggestions", suggestions: ["MLDSA=true"] },
  summary:
    "Features that are off by default: MLDSA=true allows keys of ML-DSA, which is post-quantum. kube-apiserver " +
    "1.37 refuses requests for them; see docs/guides/post_quantum.md.",
  parse: parseFeatureGate,
  format: ({ name, isOn }) => `${name}=${isOn}`,
});

/** The hint for keys that the closed gate refuses. */
const GATE_HINT = "kube-apiserver 1.37 and older clients do not know ML-DSA; see: tlsboot guide post_quantum";

function parseFeatureGate(text: string): Result<FeatureGate, string> {
  const [name, value = ""] = text.split("=", 2);
  const isOn = parseSwitch(value);
  return name === "MLDSA" && isOn.ok ? ok({ name, isOn: isOn.value }) : err("want MLDSA=true or MLDSA=false");
}

/** Throws UsageError for a type of key that the gates refuse; `flag` is the name of its flag. */
export function checkKeyAlgorithm(algorithm: KeyAlgorithm, gates: readonly FeatureGate[], flag: string): void {
  if (allowsMlDsa(gates) || !isMlDsa(getPrivateKeyAlgorithm(algorithm))) return;
  throw new UsageError(`--${flag} ${algorithm} needs --feature-gates=MLDSA=true`, GATE_HINT);
}

/** Throws UsageError for a key in a file that the gates refuse; `flag` is the name of the flag for the file. */
export function checkGivenKey(keyAlgorithm: string, gates: readonly FeatureGate[], flag: string): void {
  if (allowsMlDsa(gates) || !isMlDsa(keyAlgorithm)) return;
  throw new UsageError(`--${flag}: the key is ${keyAlgorithm}, which needs --feature-gates=MLDSA=true`, GATE_HINT);
}
