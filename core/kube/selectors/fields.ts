/** Field selectors: parsing with upstream's error texts, and matching (apimachinery `pkg/fields/selector.go`). */
import { compareBytes } from "../../lib/byte_order.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { splitUnescaped } from "../../lib/trim.ts";

/** A requirement on one field; `==` has become `=`. */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

/** Longer operators come first, so that no `=` stays in the value. */
const OPERATORS = ["!=", "==", "="] as const;

/** Parses a selector such as `metadata.name=a,spec.signerName!=b`; the error is the text for the client. */
export function parseFieldSelector(text: string): Result<readonly FieldRequirement[], string> {
  const requirements: FieldRequirement[] = [];
  // Sorted, so that the first of several faults is the one that upstream reports.
  for (const term of splitUnescaped(text, (char) => char === ",").sort(compareBytes)) {
    if (term === "") continue;
    const parts = splitTerm(term);
    if (parts === undefined) return err(`invalid selector: '${text}'; can't understand '${term}'`);
    const value = unescapeValue(parts.value);
    if (!value.ok) return value;
    // An operator alone restricts nothing.
    if (parts.field === "" && value.value === "") continue;
    requirements.push({ field: parts.field, operator: parts.operator === "!=" ? "!=" : "=", value: value.value });
  }
  return ok(requirements);
}

/** Reports whether an object fulfils every requirement; `read` returns the empty string for an absent value. */
export function matchesFields(
  requirements: readonly FieldRequirement[],
  read: (field: string) => string,
): boolean {
  return requirements.every(({ field, operator, value }) => (read(field) === value) === (operator === "="));
}

/** Finds the value that the selector requires of a field; undefined if it does not require a single one. */
export function requiredValue(requirements: readonly FieldRequirement[], field: string): string | undefined {
  return requirements.find((item) => item.field === field && item.operator === "=")?.value;
}

/** Splits at the first operator. */
function splitTerm(term: string): { field: string; operator: string; value: string } | undefined {
  for (let index = 0; index < term.length; index++) {
    const operator = OPERATORS.find((item) => term.startsWith(item, index));
    if (operator === undefined) continue;
    return { field: term.slice(0, index), operator, value: term.slice(index + operator.length) };
  }
  return undefined;
}

function unescapeValue(text: string): Result<string, string> {
  let value = "";
  let escaped = false;
  for (const character of text) {
    if (escaped) {
      if (!"\\,=".includes(character)) {
        return err(`invalid field selector: invalid escape sequence: \\${character}`);
      }
      value += character;
      escaped = false;
    } else if (character === "\\") escaped = true;
    else if (character === "," || character === "=") {
      // Upstream prints the character as its number.
      return err(`invalid field selector: unescaped character in value: ${character.charCodeAt(0)}`);
    } else value += character;
  }
  return escaped ? err("invalid field selector: invalid escape sequence: \\") : ok(value);
}
