/**
 * The rules of names, keys and label values. Each check returns upstream's list of messages, which is empty for valid
 * text (apimachinery `pkg/util/validation/validation.go`, `pkg/api/validate/content`).
 */
import { byteLength } from "../lib/go_text.ts";

/** The largest number of bytes in a DNS label. */
export const DNS_LABEL_MAX_LENGTH = 63;
/** The largest number of bytes in a DNS subdomain. */
export const DNS_SUBDOMAIN_MAX_LENGTH = 253;

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const KEY_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE = `(${KEY_NAME})?`;
const DATA_KEY = "[-._a-zA-Z0-9]+";
const CONDITION_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";

const LABEL_PATTERN = new RegExp(`^${LABEL}$`);
const SUBDOMAIN_PATTERN = new RegExp(`^${SUBDOMAIN}$`);
const KEY_NAME_PATTERN = new RegExp(`^${KEY_NAME}$`);
const LABEL_VALUE_PATTERN = new RegExp(`^${LABEL_VALUE}$`);
const DATA_KEY_PATTERN = new RegExp(`^${DATA_KEY}$`);
const CONDITION_REASON_PATTERN = new RegExp(`^${CONDITION_REASON}$`);

const KEY_NAME_TEXT = regexText(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  KEY_NAME,
  ["MyName", "my.name", "123-abc"],
);

/** A check of an object's name; with `prefix` the text is a generateName, to which characters will be appended. */
export type NameCheck = (name: string, prefix: boolean) => readonly string[];

/** Checks a DNS label (RFC 1123 section 2.1). */
export function dns1123LabelErrors(value: string): string[] {
  const errors = lengthErrors(value, DNS_LABEL_MAX_LENGTH, "characters");
  if (LABEL_PATTERN.test(value)) return errors;
  if (SUBDOMAIN_PATTERN.test(value)) return [...errors, "must not contain dots"];
  const text = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start " +
    "and end with an alphanumeric character";
  return [...errors, regexText(text, LABEL, ["my-name", "123-abc"])];
}

/** Checks a DNS subdomain (RFC 1123 section 2.1). */
export function dns1123SubdomainErrors(value: string): string[] {
  return subdomainErrors(value, "characters");
}

/** Checks a qualified name: a label key, an annotation key (in lower case), a finalizer. */
export function qualifiedNameErrors(value: string): string[] {
  const parts = value.split("/");
  if (parts.length > 2) {
    return [
      `a valid label key ${KEY_NAME_TEXT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const name = parts.at(-1) ?? "";
  const prefix = parts.length === 2 ? parts[0] : undefined;
  const errors = prefix === undefined
    ? []
    : prefix === ""
    ? ["prefix part must be non-empty"]
    : subdomainErrors(prefix, "bytes").map((text) => `prefix part ${text}`);
  if (name === "") errors.push("name part must be non-empty");
  else errors.push(...lengthErrors(name, DNS_LABEL_MAX_LENGTH, "bytes").map((text) => `name part ${text}`));
  if (!KEY_NAME_PATTERN.test(name)) errors.push(`name part ${KEY_NAME_TEXT}`);
  return errors;
}

export function labelValueErrors(value: string): string[] {
  const errors = lengthErrors(value, DNS_LABEL_MAX_LENGTH, "bytes");
  if (LABEL_VALUE_PATTERN.test(value)) return errors;
  const text =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must " +
    "start and end with an alphanumeric character";
  return [...errors, regexText(text, LABEL_VALUE, ["MyValue", "my_value", "12345"])];
}

/** Checks a key of a Secret's or ConfigMap's data. */
export function dataKeyErrors(value: string): string[] {
  const errors = lengthErrors(value, DNS_SUBDOMAIN_MAX_LENGTH, "characters");
  if (!DATA_KEY_PATTERN.test(value)) {
    const text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    errors.push(regexText(text, DATA_KEY, ["key.name", "KEY_NAME", "key-name"]));
  }
  if (value === "." || value === "..") errors.push(`must not be '${value}'`);
  else if (value.startsWith("..")) errors.push("must not start with '..'");
  return errors;
}

/** Checks the reason of a condition (`pkg/apis/meta/v1/validation/validation.go`, IsValidConditionReason). */
export function conditionReasonErrors(value: string): string[] {
  if (CONDITION_REASON_PATTERN.test(value)) return [];
  const text = "a condition reason must start with alphabetic character, optionally followed by a string of " +
    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
  return [regexText(text, CONDITION_REASON, ["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"])];
}

/** Checks that a name can be a segment of a URL path; a prefix may be `.` or `..`. */
export function pathSegmentNameErrors(name: string, prefix = false): string[] {
  if (!prefix && (name === "." || name === "..")) return [`may not be '${name}'`];
  return ["/", "%"].filter((character) => name.includes(character)).map((character) =>
    `may not contain '${character}'`
  );
}

/** Checks the name of an object that is a DNS subdomain: Secrets, ConfigMaps, Leases, Nodes, ServiceAccounts. */
export function subdomainNameErrors(name: string, prefix: boolean): string[] {
  return dns1123SubdomainErrors(prefix ? maskTrailingDash(name) : name);
}

/** Checks the name of an object that is a DNS label: Namespaces. */
export function labelNameErrors(name: string, prefix: boolean): string[] {
  return dns1123LabelErrors(prefix ? maskTrailingDash(name) : name);
}

function subdomainErrors(value: string, unit: "bytes" | "characters"): string[] {
  const errors = lengthErrors(value, DNS_SUBDOMAIN_MAX_LENGTH, unit);
  if (SUBDOMAIN_PATTERN.test(value)) return errors;
  const text =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must " +
    "start and end with an alphanumeric character";
  return [...errors, regexText(text, SUBDOMAIN, ["example.com"])];
}

/** Checks a length in bytes. Upstream's newer messages call the unit bytes, its older ones characters. */
function lengthErrors(value: string, max: number, unit: "bytes" | "characters"): string[] {
  return byteLength(value) > max ? [`must be no more than ${max} ${unit}`] : [];
}

function regexText(text: string, pattern: string, examples: readonly string[]): string {
  return `${text} (e.g. ${
    examples.map((item) => `'${item}', `).join(" or ")
  }regex used for validation is '${pattern}')`;
}

/** Lets a prefix end in a dash: upstream replaces the last two characters with a letter before it checks. */
function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name;
}
