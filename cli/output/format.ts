/** The output formats of `-o`, a selection of kubectl's. */
import { err, ok, type Result } from "../../core/lib/result.ts";
import { type Flag, parsedFlag } from "../framework/flags.ts";

/** The format of an answer; without one it is a table. */
export type OutputFormat =
  | { readonly kind: "wide" }
  | { readonly kind: "json" }
  | { readonly kind: "yaml" }
  | { readonly kind: "name" }
  | { readonly kind: "jsonpath"; readonly template: string };

/** The formats of certificates: those of other objects, and a spreadsheet. */
export type RecordFormat = OutputFormat | { readonly kind: "csv" };

/** The formats of requests: those of other objects, and kubectl's own table. */
export type RequestFormat = OutputFormat | { readonly kind: "kubectl" };

const NAMES = ["wide", "json", "yaml", "name", "jsonpath"] as const;

/** The flag `-o` of commands that show API objects. */
export const OUTPUT_FLAG: Flag<OutputFormat | undefined> = parsedFlag<OutputFormat>({
  short: "o",
  placeholder: "FORMAT",
  summary: "Output format; a table without it.",
  completion: { kind: "choices", choices: ["wide", "json", "yaml", "name", "jsonpath=TEMPLATE"] },
  parse: (text) => parseOutputFormat(text),
});

/** The flag `-o` of the command that shows certificates. */
export const RECORD_OUTPUT_FLAG: Flag<RecordFormat | undefined> = parsedFlag<RecordFormat>({
  short: "o",
  placeholder: "FORMAT",
  summary: "Output format; a table without it.",
  completion: { kind: "choices", choices: ["wide", "json", "yaml", "csv", "name", "jsonpath=TEMPLATE"] },
  parse: (text) => text === "csv" ? ok({ kind: "csv" }) : parseOutputFormat(text, [...NAMES, "csv"]),
});

/** The flag `-o` of the command that shows requests. */
export const REQUEST_OUTPUT_FLAG: Flag<RequestFormat | undefined> = parsedFlag<RequestFormat>({
  short: "o",
  placeholder: "FORMAT",
  summary:
    "Output format. Without it, a table for people; wide cuts nothing and has more columns, kubectl is the table " +
    "of kubectl get csr.",
  completion: { kind: "choices", choices: ["wide", "kubectl", "json", "yaml", "name", "jsonpath=TEMPLATE"] },
  parse: (text) => text === "kubectl" ? ok({ kind: "kubectl" }) : parseOutputFormat(text, [...NAMES, "kubectl"]),
});

/** Parses the value of `-o`; `valid` are the formats that the error names. */
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
