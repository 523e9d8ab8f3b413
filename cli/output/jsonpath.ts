/** Evaluates kubectl's JSONPath templates (client-go `util/jsonpath`) over an object. Missing fields print nothing. */
import { isRecord } from "../../core/lib/record.ts";
import { AppError } from "../../core/errors.ts";
import { marshalJson } from "../../core/lib/quote.ts";
import { type Filter, type Operand, parseJsonPath, type Path, type Step, type TemplateNode } from "./jsonpath_parse.ts";
import { sortKeys } from "./structured.ts";
import { UsageError } from "../framework/usage_error.ts";

export { parseJsonPath, type Path, type TemplateNode };

/** Prints a value by a template. Several results of one expression are joined by a blank. */
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

/** Finds the values that a path leads to; none where a field is missing. */
export function findPathValues(path: Path, value: unknown): readonly unknown[] {
  return walk(path, [value]);
}

function walk(path: Path, from: readonly unknown[]): readonly unknown[] {
  let values = from;
  for (const step of path) {
    const before = values;
    // A union yields the first member of all values, then the second of all, as in client-go.
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
