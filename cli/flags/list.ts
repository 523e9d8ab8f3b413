/** The flags of commands that list objects of the API as kubectl does, and the formats of `-o`. */
import { err, ok, type Result } from "../../core/lib/result.ts";
import { type Flag, inGroup, parsedFlag, switchFlag, textFlag } from "../framework/flags.ts";
import { excludes } from "../framework/rules.ts";

/** An output format other than the default table. */
export type OutputFormat =
  | { readonly kind: "wide" }
  | { readonly kind: "json" }
  | { readonly kind: "yaml" }
  | { readonly kind: "name" }
  | { readonly kind: "jsonpath"; readonly template: string };

/** The formats of certificates: those of other objects, and CSV. */
export type RecordFormat = OutputFormat | { readonly kind: "csv" };

/** The formats of requests: those of other objects, and kubectl's own table. */
export type RequestFormat = OutputFormat | { readonly kind: "kubectl" };

const NAMES = ["wide", "json", "yaml", "name", "jsonpath"] as const;

/** The flag `-o` of commands that show API objects. */
const OUTPUT_FLAG: Flag<OutputFormat | undefined> = parsedFlag<OutputFormat>({
  short: "o",
  placeholder: "FORMAT",
  summary: "Output format. Without it, a table.",
  completion: { kind: "choices", choices: ["wide", "json", "yaml", "name", "jsonpath=TEMPLATE"] },
  parse: (text) => parseOutputFormat(text),
});

/** The flag `-o` of the command that shows certificates. */
export const RECORD_OUTPUT_FLAG: Flag<RecordFormat | undefined> = parsedFlag<RecordFormat>({
  short: "o",
  placeholder: "FORMAT",
  summary: "Output format. Without it, a table.",
  completion: { kind: "choices", choices: ["wide", "json", "yaml", "csv", "name", "jsonpath=TEMPLATE"] },
  parse: (text) => text === "csv" ? ok({ kind: "csv" }) : parseOutputFormat(text, [...NAMES, "csv"]),
});

/** The flag `-o` of the command that shows requests. */
export const REQUEST_OUTPUT_FLAG: Flag<RequestFormat | undefined> = parsedFlag<RequestFormat>({
  short: "o",
  placeholder: "FORMAT",
  summary:
    "Output format. Without it, a table for people; wide adds columns and cuts nothing, and kubectl is the table of " +
    "kubectl get csr.",
  completion: { kind: "choices", choices: ["wide", "kubectl", "json", "yaml", "name", "jsonpath=TEMPLATE"] },
  parse: (text) => text === "kubectl" ? ok({ kind: "kubectl" }) : parseOutputFormat(text, [...NAMES, "kubectl"]),
});

/** Parses the value of `-o`. `valid` are the formats that the error lists. */
function parseOutputFormat(text: string, valid: readonly string[] = NAMES): Result<OutputFormat, string> {
  const [name = "", ...rest] = text.split("=");
  const known = NAMES.find((item) => item === name);
  const value = rest.join("=");
  switch (known) {
    case undefined:
      return err(`want one of ${valid.join(", ")}`);
    case "jsonpath":
      return value === ""
        ? err("want a template, as in jsonpath='{.status.certificate}'")
        : ok({ kind: known, template: value });
    default:
      return rest.length > 0 ? err(`${known} takes no value`) : ok({ kind: known });
  }
}

/** The output format, the order, the watch, and the selectors on fields and labels. */
export const LIST_FLAGS = {
  output: OUTPUT_FLAG,
  ...inGroup("List", {
    sortBy: textFlag({
      placeholder: "COLUMN|PATH",
      summary: "Order of the list: the name of a column, such as age, or a path as in kubectl, such as .metadata.name.",
    }),
    noHeaders: switchFlag({ summary: "Print a table without its heading." }),
    watch: switchFlag({ short: "w", summary: "After listing, watch for changes." }),
    fieldSelector: textFlag({
      placeholder: "QUERY",
      summary: "Selector on fields, such as spec.signerName=kubernetes.io/kubelet-serving or metadata.name!=n1.",
    }),
    selector: textFlag({
      short: "l",
      placeholder: "QUERY",
      summary: "Selector on labels, such as team=blue or 'env in (test,stage)'.",
    }),
  }),
} as const;

/** The rules for these flags in commands whose argument is `NAME`. */
export const LIST_RULES = [excludes("NAME", "selector", "fieldSelector")] as const;
