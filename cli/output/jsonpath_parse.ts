/** Parses the JSONPath templates of kubectl (client-go `util/jsonpath`): text with `{expressions}` in it. */
import { UsageError } from "../framework/usage_error.ts";

/** A piece of a template: literal text, an expression, or a range over its results. */
export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "path"; readonly path: Path }
  | { readonly kind: "range"; readonly path: Path; readonly body: readonly TemplateNode[] };

/** The steps of an expression. It starts at the whole answer, or at the current item of a range or filter. */
export type Path = readonly Step[];

/** One step of an expression, from each current value to the next ones. */
export type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "wildcard" }
  | { readonly kind: "descend" }
  | { readonly kind: "slice"; readonly from?: number; readonly to?: number; readonly by: number }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "union"; readonly paths: readonly (readonly Step[])[] }
  | { readonly kind: "filter"; readonly filter: Filter };

/** A filter such as `?(@.type=="Approved")`. Without an operator it tests that the left side exists. */
export interface Filter {
  readonly left: Operand;
  readonly operator?: "==" | "!=" | "<" | "<=" | ">" | ">=";
  readonly right?: Operand;
}

/** One side of a filter: a path or a literal. */
export type Operand =
  | { readonly kind: "path"; readonly path: Path }
  | { readonly kind: "literal"; readonly value: string | number | boolean };

/** Parses a template. Throws UsageError that names the invalid part. */
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

/** A quoted name is parsed as a path: `['metadata.name']`. A dot that belongs to a key is written as `\\.`. */
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

/** Lists the places of the characters outside of quotes, from one on. */
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

/** Reads a template from start to end. `takeExpression` ignores braces in quotes. */
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
