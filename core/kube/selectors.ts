/**
 * Label and field selectors: parsing with upstream's grammar and error texts, and matching (apimachinery
 * `pkg/labels/selector.go`, `pkg/apis/meta/v1/helpers.go`, `pkg/fields/selector.go`).
 */
import { compareBytes, goQuote, parseInt64 } from "../lib/go_text.ts";
import { lookup } from "../lib/record.ts";
import { type FieldError, formatFieldError, invalid } from "./status/field_error.ts";
import { labelValueErrors, qualifiedNameErrors } from "./names.ts";
import type { LabelSelector } from "./meta.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { splitUnescaped } from "../lib/linear_text.ts";

/** The operators that relate a key to its values. */
type LabelOperator = "in" | "notin" | "=" | "==" | "!=" | "exists" | "!" | "gt" | "lt";

interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** Requirements that must all hold, sorted by key. An empty list matches everything. */
export type LabelSelectorRequirements = readonly LabelRequirement[];

/** The operators that take values, in the order in which errors list them. */
const BINARY_OPERATORS: readonly LabelOperator[] = ["in", "notin", "=", "==", "!=", "gt", "lt"];

const OPERATOR_OF_TOKEN: { readonly [kind in TokenKind]?: LabelOperator } = {
  "in": "in",
  "notin": "notin",
  "=": "=",
  "==": "==",
  "!=": "!=",
  ">": "gt",
  "<": "lt",
};

/** Parses a selector such as `a=b,c in (d,e),!f`; the error is the text for the client. */
export function parseLabelSelector(text: string): Result<LabelSelectorRequirements, string> {
  const parser = new Parser(tokenize(text));
  const requirements: LabelRequirement[] = [];
  for (;;) {
    const next = parser.peek();
    if (next.kind === "end") break;
    if (next.kind !== "identifier" && next.kind !== "!") {
      return err(`found '${next.text}', expected: !, identifier, or 'end of string'`);
    }
    const requirement = parseRequirement(parser);
    if (!requirement.ok) return err(`unable to parse requirement: ${requirement.error}`);
    requirements.push(requirement.value);
    const separator = parser.take();
    if (separator.kind === "end") break;
    if (separator.kind !== ",") return err(`found '${separator.text}', expected: ',' or 'end of string'`);
    const after = parser.peek();
    if (after.kind !== "identifier" && after.kind !== "!") {
      return err(`found '${after.text}', expected: identifier after ','`);
    }
  }
  return ok(sortByKey(requirements));
}

/** Reports whether labels fulfil every requirement. */
export function matchesLabels(
  selector: LabelSelectorRequirements,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  return selector.every((requirement) => matchesRequirement(requirement, labels));
}

/** Converts a `LabelSelector` object, as RBAC aggregation uses it, to requirements; an empty one matches everything. */
export function selectorFromLabelSelector(selector: LabelSelector): Result<LabelSelectorRequirements, string> {
  const wanted: { key: string; operator: LabelOperator; values: readonly string[] }[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    wanted.push({ key, operator: "=", values: [value] });
  }
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const known = lookup(OPERATOR_OF_EXPRESSION, operator);
    if (known === undefined) return err(`${goQuote(operator)} is not a valid label selector operator`);
    wanted.push({ key, operator: known, values });
  }
  const requirements: LabelRequirement[] = [];
  for (const { key, operator, values } of wanted) {
    const requirement = createRequirement(key, operator, values);
    if (!requirement.ok) return requirement;
    requirements.push(requirement.value);
  }
  return ok(sortByKey(requirements));
}

const OPERATOR_OF_EXPRESSION: Readonly<Record<string, LabelOperator>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
};

/** Reads tokens in order. Among values, `in` and `notin` are ordinary words. */
class Parser {
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  peek(): Token {
    return asValue(this.#at());
  }

  take(): Token {
    return asValue(this.takeOperator());
  }

  takeOperator(): Token {
    const token = this.#at();
    this.#position += 1;
    return token;
  }

  #at(): Token {
    return this.#tokens[this.#position] ?? { kind: "end", text: "" };
  }
}

function asValue(token: Token): Token {
  return token.kind === "in" || token.kind === "notin" ? { kind: "identifier", text: token.text } : token;
}

function parseRequirement(parser: Parser): Result<LabelRequirement, string> {
  let token = parser.take();
  const negated = token.kind === "!";
  if (negated) token = parser.take();
  if (token.kind !== "identifier") return err(`found '${token.text}', expected: identifier`);
  const key = token.text;
  const keyErrors = qualifiedNameErrors(key);
  // Upstream's path is nil here, which Go prints as `<nil>`.
  if (keyErrors.length > 0) return err(formatFieldError(invalid("<nil>", key, keyErrors.join("; "))));
  if (negated) return createRequirement(key, "!", []);
  const next = parser.peek();
  if (next.kind === "end" || next.kind === ",") return createRequirement(key, "exists", []);

  const operatorToken = parser.takeOperator();
  const operator = OPERATOR_OF_TOKEN[operatorToken.kind];
  if (operator === undefined) {
    return err(`found '${operatorToken.text}', expected: ${BINARY_OPERATORS.join(", ")}`);
  }
  const values = operator === "in" || operator === "notin" ? parseValues(parser) : parseExactValue(parser);
  return values.ok ? createRequirement(key, operator, [...new Set(values.value)].sort(compareBytes)) : values;
}

/** Parses `(a,b)`; a missing value between commas is the empty string. */
function parseValues(parser: Parser): Result<readonly string[], string> {
  const open = parser.take();
  if (open.kind !== "(") return err(`found '${open.text}' expected: '('`);
  const first = parser.peek();
  if (first.kind === ")") {
    parser.take();
    return ok([""]);
  }
  if (first.kind !== "identifier" && first.kind !== ",") {
    return err(`found '${first.text}', expected: ',', ')' or identifier`);
  }
  const values: string[] = [];
  for (;;) {
    const token = parser.take();
    if (token.kind === "identifier") {
      values.push(token.text);
      const next = parser.peek();
      if (next.kind === ")") break;
      if (next.kind !== ",") return err(`found '${next.text}', expected: ',' or ')'`);
    } else if (token.kind === ",") {
      if (values.length === 0) values.push("");
      const next = parser.peek();
      if (next.kind === ")" || next.kind === ",") values.push("");
      if (next.kind === ")") break;
    } else {
      return err(`found '${token.text}', expected: ',', or identifier`);
    }
  }
  parser.take();
  return ok(values);
}

function parseExactValue(parser: Parser): Result<readonly string[], string> {
  const next = parser.peek();
  if (next.kind === "end" || next.kind === ",") return ok([""]);
  const token = parser.take();
  return token.kind === "identifier" ? ok([token.text]) : err(`found '${token.text}', expected: identifier`);
}

function createRequirement(
  key: string,
  operator: LabelOperator,
  values: readonly string[],
): Result<LabelRequirement, string> {
  const errors: FieldError[] = [];
  const keyErrors = qualifiedNameErrors(key);
  if (keyErrors.length > 0) errors.push(invalid("key", key, keyErrors.join("; ")));
  const fault = valuesFault(operator, values);
  if (fault !== undefined) errors.push(invalid("values", values, fault));
  if (operator === "gt" || operator === "lt") {
    values.forEach((value, index) => {
      if (parseInt64(value) !== undefined) return;
      errors.push(invalid(`values[${index}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer"));
    });
  }
  values.forEach((value, index) => {
    const texts = labelValueErrors(value);
    if (texts.length > 0) errors.push(invalid(`values[${index}][${key}]`, value, texts.join("; ")));
  });
  if (errors.length === 0) return ok({ key, operator, values });
  const texts = [...new Set(errors.map(formatFieldError))];
  return err(texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`);
}

function valuesFault(operator: LabelOperator, values: readonly string[]): string | undefined {
  switch (operator) {
    case "in":
    case "notin":
      return values.length === 0 ? "for 'in', 'notin' operators, values set can't be empty" : undefined;
    case "=":
    case "==":
    case "!=":
      return values.length === 1 ? undefined : "exact-match compatibility requires one single value";
    case "exists":
    case "!":
      return values.length === 0 ? undefined : "values set must be empty for exists and does not exist";
    case "gt":
    case "lt":
      return values.length === 1 ? undefined : "for 'Gt', 'Lt' operators, exactly one value is required";
  }
}

function matchesRequirement(requirement: LabelRequirement, labels: Readonly<Record<string, string>>): boolean {
  const { key, operator, values } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "in":
    case "=":
    case "==":
      return value !== undefined && values.includes(value);
    case "notin":
    case "!=":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt": {
      const actual = value === undefined ? undefined : parseInt64(value);
      const wanted = parseInt64(values[0] ?? "");
      if (actual === undefined || wanted === undefined) return false;
      return operator === "gt" ? actual > wanted : actual < wanted;
    }
  }
}

function sortByKey(requirements: readonly LabelRequirement[]): LabelSelectorRequirements {
  return [...requirements].sort((a, b) => compareBytes(a.key, b.key));
}

/** The kinds of tokens; operators and marks are named by their text. */
type TokenKind =
  | "identifier"
  | "end"
  | "in"
  | "notin"
  | "="
  | "=="
  | "!="
  | "!"
  | ">"
  | "<"
  | "("
  | ")"
  | ",";

/** One token; `text` is empty at the end. */
interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const MARKS = "=!(),><";
const SPACES = " \t\r\n";
const NUL = "\u0000";
const SEPARATORS = MARKS + SPACES + NUL;

/**
 * Splits a text into tokens, the last of which is `end`. As in upstream, a NUL character after a token separates it from
 * the next token; in any other place, it ends the text.
 */
function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let position = 0;
  while (position < text.length) {
    const character = text.charAt(position);
    if (character === NUL) break;
    if (SPACES.includes(character)) {
      position += 1;
      continue;
    }
    const token = MARKS.includes(character) ? scanMark(text, position) : scanWord(text, position);
    tokens.push(token);
    position += token.text.length;
    if (text.charAt(position) === NUL) position += 1;
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

/** Scans the longest of `==`, `!=` and the single marks. */
function scanMark(text: string, position: number): Token {
  const pair = text.slice(position, position + 2);
  if (pair === "==" || pair === "!=") return { kind: pair, text: pair };
  const mark = text.charAt(position) as "=" | "!" | "(" | ")" | "," | ">" | "<";
  return { kind: mark, text: mark };
}

function scanWord(text: string, position: number): Token {
  let end = position;
  while (end < text.length && !SEPARATORS.includes(text.charAt(end))) end += 1;
  const word = text.slice(position, end);
  return { kind: word === "in" || word === "notin" ? word : "identifier", text: word };
}

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

/** Finds the name that a selector requires; undefined if it selects by other fields only. */
export function findRequiredName(requirements: readonly FieldRequirement[]): string | undefined {
  return requirements.find(({ field, operator }) => field === "metadata.name" && operator === "=")?.value;
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
