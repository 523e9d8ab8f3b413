import { matchesFields, matchesLabels, parseFieldSelector, parseLabelSelector } from "../../../core/kube/selectors.ts";
import { resultOutcome } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";

/** The size of the largest head that the listener accepts. */
const MAX_BYTES = 2 ** 20;

export const labels: Target = {
  seeds: ["a=b", "a==b,c!=d", "x in (a,b),y notin (c)", "!a,b", "a>1,b<2", "example.com/role=x", "a in (),b in (,)"]
    .map(encodeText),
  words: [" in (", " notin (", "aN=b,", "aN,", "a,", "example.com/", "x".repeat(64)],
  maxBytes: MAX_BYTES,
  run(input) {
    const parsed = parseLabelSelector(decodeText(input));
    if (parsed.ok) matchesLabels(parsed.value, { a: "b", x: "1" });
    return resultOutcome(parsed);
  },
};

export const fields: Target = {
  seeds: ["metadata.name=a", "spec.signerName!=b,metadata.name==c", "a=\\,\\=\\\\", "", ",", "=", "a=b,a=c"].map(
    encodeText,
  ),
  words: ["\\,", "\\=", "\\\\", "aN=b,", "a=b,", "metadata.name"],
  maxBytes: MAX_BYTES,
  run(input) {
    const parsed = parseFieldSelector(decodeText(input));
    if (parsed.ok) matchesFields(parsed.value, (field) => field);
    return resultOutcome(parsed);
  },
};
