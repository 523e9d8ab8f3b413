/**
 * Parses kubectl's JSONPath templates (client-go `util/jsonpath`), and evaluates them over an object. Missing fields
 * print nothing.
 */
import { isRecord } from "../../core/lib/record.ts";
import { AppError } from "../../core/errors.ts";
import { marshalJson } from "../../core/lib/go_text.ts";
import { sortKeys } from "./structured.ts";
import { UsageError } from "../exit_code.ts";

/** Formats a value with a template. Several results of an expression are separated by spaces. */
export function evaluateJsonPath(template: readonly TemplateNode[], value: unknown): string {
  return template.map((node) => {
    switch (node.kind) {
      case "text":
        return node.text;
      case "path":
        return walk(node.path, [value]).map(printValue).join(" ");
      case "range":
        return walk(node.path, [value]).map((item) => evaluateJsonPath(node.body, item)).join("");
    }
  }).join("");
}

/** Parses a path as kubectl's `--sort-by` takes it: `{.metadata.name}`, `.metadata.name` or `metadata.name`. */
export function parseRelaxedPath(text: string): Path {
  const inner = /^\{(?<braced>[^{}]+)\}$|^(?<plain>[^{}]+)$/.exec(text.trim())?.groups;
  const path = (inner?.["braced"] ?? inner?.["plain"] ?? "").trim();
  const [node, ...more] = path === "" ? [] : parseJsonPath(`{${/^[.[$@]/.test(path) ? "" : "."}${path}}`);
  if (node?.kind === "path" && more.length === 0) return node.path;
  throw new UsageError(`cannot read the path "${text}": want one such as .metadata.name`);
}

/** Finds the values that a path selects; none if a field is missing. */
export function findPathValues(path: Path, value: unknown): readonly unknown[] {
  return walk(path, [value]);
}

function walk(path: Path, from: readonly unknown[]): readonly unknown[] {
  let values = from;
  for (const step of path) {
    const before = values;
    // As in client-go, a union yields its first member for all values, then its second for all, and so on.
    values = step.kind === "union"
      ? step.paths.flatMap((member) => walk(member, before))
      : before.flatMap((value) => takeStep(step, value));
  }
  return values;
}

function takeStep(step: Exclude<Step, { readonly kind: "union" }>, value: unknown): readonly unknown[] {
  switch (step.kind) {
    case "field":
      return isRecord(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case "wildcard":
      return Array.isArray(value) ? value : isRecord(value) ? Object.keys(value).sort().map((key) => value[key]) : [];
    case "descend":
      return descend(value);
    case "index":
      return Array.isArray(value) ? [itemAt(value, step.index)] : [];
    case "slice":
      return Array.isArray(value)
        ? value.slice(step.from, step.to).filter((_, index) => step.by > 0 && index % step.by === 0)
        : [];
    case "filter":
      return Array.isArray(value) ? value.filter((item: unknown) => holds(step.filter, item)) : [];
  }
}

function itemAt(items: readonly unknown[], index: number): unknown {
  const at = index < 0 ? index + items.length : index;
  if (at >= 0 && at < items.length) return items[at];
  throw new AppError(
    "invalid",
    `cannot evaluate the jsonpath template: array index out of bounds: index ${index}, length ${items.length}`,
  );
}

/** Lists a value and everything below it, outermost first. */
function descend(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return [value, ...value.flatMap(descend)];
  if (isRecord(value)) return [value, ...Object.keys(value).sort().flatMap((key) => descend(value[key]))];
  return [value];
}

function holds(filter: Filter, item: unknown): boolean {
  const [left] = operandValues(filter.left, item);
  if (filter.operator === undefined || filter.right === undefined) return left !== undefined;
  const [right] = operandValues(filter.right, item);
  if (left === undefined || right === undefined) return false;
  switch (filter.operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    default:
      return compare(left, right, filter.operator);
  }
}

function compare(left: unknown, right: unknown, operator: "<" | "<=" | ">" | ">="): boolean {
  const isComparable = (typeof left === "number" && typeof right === "number") ||
    (typeof left === "string" && typeof right === "string");
  if (!isComparable) return false;
  switch (operator) {
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
  }
}

function operandValues(operand: Operand, item: unknown): readonly unknown[] {
  return operand.kind === "literal" ? [operand.value] : walk(operand.path, [item]);
}

function printValue(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "object" && value !== null ? marshalJson(sortKeys(value)) : String(value ?? "");
}

/** A piece of a template: literal text, an expression, or a range over its results. */
type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "path"; readonly path: Path }
  | { readonly kind: "range"; readonly path: Path; readonly body: readonly TemplateNode[] };

/** The steps of an expression. They start at the whole value, or at the current item of a range or a filter. */
type Path = readonly Step[];

/** One step of an expression, from each current value to the next ones. */
type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "wildcard" }
  | { readonly kind: "descend" }
  | { readonly kind: "slice"; readonly from?: number; readonly to?: number; readonly by: number }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "union"; readonly paths: readonly (readonly Step[])[] }
  | { readonly kind: "filter"; readonly filter: Filter };

/** A filter such as `?(@.type=="Approved")`. Without an operator it tests that the left side exists. */
interface Filter {
  readonly left: Operand;
  readonly operator?: "==" | "!=" | "<" | "<=" | ">" | ">=";
  readonly right?: Operand;
}

/** One side of a filter: a path or a literal. */
type Operand =
  | { readonly kind: "path"; readonly path: Path }
  | { readonly kind: "literal"; readonly value: string | number | boolean };

/** Parses a template. Throws UsageError with the invalid part. */
export function parseJsonPath(template: string): readonly TemplateNode[] {
  return readNodes(new Reader(template), false);
}

function readNodes(reader: Reader, isInRange: boolean): TemplateNode[] {
  const nodes: TemplateNode[] = [];
  while (!reader.isAtEnd()) {
    const text = reader.takeUntil("{");
    if (text !== "") nodes.push({ kind: "text", text });
    if (reader.isAtEnd()) break;
    const expression = reader.takeExpression();
    if (expression === "end") {
      if (!isInRange) throw reader.fault("{end} without {range}");
      return nodes;
    }
    const range = /^range\s+(.*)$/s.exec(expression);
    if (range !== null) {
      nodes.push({ kind: "range", path: parsePath(range[1] ?? "", reader), body: readNodes(reader, true) });
      continue;
    }
    const literal = /^(["'])(.*)\1$/s.exec(expression);
    if (literal !== null) nodes.push({ kind: "text", text: unescape(literal[2] ?? "") });
    else nodes.push({ kind: "path", path: parsePath(expression, reader) });
  }
  if (isInRange) throw reader.fault("{range} without {end}");
  return nodes;
}

function parsePath(text: string, reader: Reader): Path {
  // `@` and `$` both mean the start of the path, as in client-go.
  const rest = text.trim().replace(/^[@$]/, "");
  const word = /^[A-Za-z_]+/.exec(rest)?.[0];
  if (word !== undefined) throw reader.fault(`unrecognized identifier ${word}`);
  return parseSteps(rest, reader);
}

function parseSteps(text: string, reader: Reader): readonly Step[] {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== "") {
    if (rest.startsWith("..")) {
      steps.push({ kind: "descend" });
      rest = rest.slice(1);
      if (rest.startsWith(".[")) rest = rest.slice(1);
      continue;
    }
    if (rest.startsWith("[")) {
      const end = closingBracket(rest);
      if (end < 0) throw reader.fault("unterminated array");
      steps.push(parseBrackets(rest.slice(1, end).trim(), reader));
      rest = rest.slice(end + 1);
      continue;
    }
    const field = /^\.(\*|(?:\\.|[^.[\]\s{}'"\\])*)/s.exec(rest);
    if (field === null) throw reader.fault(`unrecognized character in "${text}"`);
    const name = (field[1] ?? "").replace(/\\(.)/gs, "$1");
    if (name === "*") steps.push({ kind: "wildcard" });
    else if (name !== "") steps.push({ kind: "field", name });
    rest = rest.slice(field[0].length);
  }
  return steps;
}

function parseBrackets(text: string, reader: Reader): Step {
  if (text === "*") return { kind: "wildcard" };
  const filter = /^\?\((.*)\)$/s.exec(text);
  if (filter !== null) return { kind: "filter", filter: parseFilter((filter[1] ?? "").trim(), reader) };
  const ends = [...listUnquoted(text)].filter((at) => text[at] === ",").concat(text.length);
  if (ends.length > 1 || /^(["']).*\1$/s.test(text)) {
    const parts = ends.map((end, index) => text.slice((ends[index - 1] ?? -1) + 1, end));
    return { kind: "union", paths: parts.map((part) => parseMember(part.trim(), reader)) };
  }
  const slice = /^(-?\d*):(-?\d*)(?::(\d*))?$/.exec(text);
  if (slice !== null) {
    const [, from = "", to = "", by = ""] = slice;
    return {
      kind: "slice",
      ...(from === "" ? {} : { from: Number(from) }),
      ...(to === "" ? {} : { to: Number(to) }),
      by: by === "" ? 1 : Number(by),
    };
  }
  if (/^-?\d+$/.test(text)) return { kind: "index", index: Number(text) };
  throw reader.fault(`invalid array index ${text}`);
}

/** Parses a member of a union. A quoted name is a path: `['metadata.name']`. A dot in a key is written as `\\.`. */
function parseMember(text: string, reader: Reader): readonly Step[] {
  const quoted = /^(["'])(.*)\1$/s.exec(text);
  return quoted === null ? [parseBrackets(text, reader)] : parseSteps(`.${quoted[2] ?? ""}`, reader);
}

function parseFilter(text: string, reader: Reader): Filter {
  const operator = findOperator(text);
  if (operator === undefined) return { left: parseOperand(text, reader) };
  return {
    left: parseOperand(text.slice(0, operator.at), reader),
    operator: operator.text,
    right: parseOperand(text.slice(operator.at + operator.text.length), reader),
  };
}

function findOperator(
  text: string,
): { readonly at: number; readonly text: NonNullable<Filter["operator"]> } | undefined {
  for (const at of listUnquoted(text)) {
    const found = (["==", "!=", "<=", ">=", "<", ">"] as const).find((item) => text.startsWith(item, at));
    if (found !== undefined) return { at, text: found };
  }
  return undefined;
}

function parseOperand(text: string, reader: Reader): Operand {
  const trimmed = text.trim();
  const quoted = /^(["'])(.*)\1$/s.exec(trimmed);
  if (quoted !== null) return { kind: "literal", value: unescape(quoted[2] ?? "") };
  if (trimmed === "true" || trimmed === "false") return { kind: "literal", value: trimmed === "true" };
  if (/^-?\d+(\.\d+)?$/.test(trimmed)) return { kind: "literal", value: Number(trimmed) };
  return { kind: "path", path: parsePath(trimmed, reader) };
}

function closingBracket(text: string): number {
  let depth = 0;
  for (const at of listUnquoted(text)) {
    if (text[at] === "[") depth++;
    else if (text[at] === "]" && --depth === 0) return at;
  }
  return -1;
}

/** Lists the indices of the characters outside of quotes, starting at `from`. */
function* listUnquoted(text: string, from = 0): Generator<number> {
  let quote = "";
  for (let at = from; at < text.length; at++) {
    const char = text[at] ?? "";
    if (quote !== "") {
      if (char === "\\") at++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "'") quote = char;
    else yield at;
  }
}

function unescape(text: string): string {
  const letters: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
  return text.replace(/\\(.)/gs, (_, letter: string) => letters[letter] ?? letter);
}

/** Reads a template from start to end. */
class Reader {
  readonly #template: string;
  #at = 0;

  constructor(template: string) {
    this.#template = template;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#template.length;
  }

  takeUntil(char: string): string {
    const end = this.#template.indexOf(char, this.#at);
    const text = this.#template.slice(this.#at, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#template.length : end;
    return text;
  }

  takeExpression(): string {
    for (const at of listUnquoted(this.#template, this.#at + 1)) {
      if (this.#template[at] !== "}") continue;
      const expression = this.#template.slice(this.#at + 1, at).trim();
      this.#at = at + 1;
      return expression;
    }
    throw this.fault("unclosed action");
  }

  fault(what: string): UsageError {
    return new UsageError(`cannot read jsonpath template "${this.#template}": ${what}`);
  }
}
