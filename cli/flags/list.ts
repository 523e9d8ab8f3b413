/** The flags of commands that list objects of the API as kubectl does. */
import { parseFieldSelector, parseLabelSelector } from "../../core/kube/selectors.ts";
import { ok, type Result } from "../../core/lib/result.ts";
import { inGroup, parsedFlag, switchFlag, textFlag } from "../framework/flags.ts";
import { excludes } from "../framework/rules.ts";
import { OUTPUT_FLAG } from "../output/format.ts";

/** The output format, the order, the watch, and the selectors on fields and labels. */
export const LIST_FLAGS = {
  output: OUTPUT_FLAG,
  ...inGroup("List", {
    sortBy: textFlag({
      placeholder: "COLUMN|PATH",
      summary:
        "Order of the list: the name of a column, such as age, or a path as for kubectl, such as .metadata.name.",
    }),
    noHeaders: switchFlag({ summary: "Print a table without its heading." }),
    watch: switchFlag({ short: "w", summary: "After listing, watch for changes." }),
    fieldSelector: parsedFlag({
      placeholder: "QUERY",
      summary: "Selector on fields, such as spec.signerName=kubernetes.io/kubelet-serving or metadata.name!=n1.",
      parse: (text) => asTyped(text, parseFieldSelector(text)),
    }),
    selector: parsedFlag({
      short: "l",
      placeholder: "QUERY",
      summary: "Selector on labels, such as team=blue or 'env in (test,stage)'.",
      parse: (text) => asTyped(text, parseLabelSelector(text)),
    }),
  }),
} as const;

/** The rules of these flags, for commands whose argument is `NAME`. */
export const LIST_RULES = [excludes("NAME", "selector", "fieldSelector")] as const;

/** Checks a selector, which is then sent to the server as it was typed. */
function asTyped(text: string, selector: Result<unknown, string>): Result<string, string> {
  return selector.ok ? ok(text) : selector;
}
