/** The flag `--feature-gates`, in kube-apiserver's form. */
import { err, ok, type Result } from "../../core/lib/result.ts";
import { parsedListFlag, parseSwitch } from "../framework/flags.ts";
import type { FeatureGate } from "../../instance/feature_gates.ts";

/** The flag `--feature-gates`; of several values for one feature, the last one counts. */
export const FEATURE_GATES_FLAG = parsedListFlag({
  group: "Feature",
  placeholder: "NAME=BOOL",
  completion: { kind: "suggestions", suggestions: ["MLDSA=true"] },
  summary: "Features that are off by default: MLDSA=true accepts requests for keys of ML-DSA, which is post-quantum. " +
    "kube-apiserver 1.37 refuses them; see docs/guides/post_quantum.md.",
  parse: parseFeatureGate,
  format: ({ name, isOn }) => `${name}=${isOn}`,
});

function parseFeatureGate(text: string): Result<FeatureGate, string> {
  const [name, value = ""] = text.split("=", 2);
  const isOn = parseSwitch(value);
  return name === "MLDSA" && isOn.ok ? ok({ name, isOn: isOn.value }) : err("want MLDSA=true or MLDSA=false");
}
