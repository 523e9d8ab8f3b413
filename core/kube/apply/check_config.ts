/**
 * Checks that a configuration fits its kind, before server-side apply merges anything (structured-merge-diff
 * `typed/validate.go`).
 */
import { ExactNumber, getJsonType, isJsonObject } from "../json_value.ts";
import { getGoType, goSyntax, printGoValue } from "../patch/go_value.ts";
import { type AssociativeList, type Atom, findMemberAtom, type Members, type Scalar } from "./atom.ts";
import { getItemElement } from "./list_item.ts";
import { fieldElement, printElement } from "./path_element.ts";

interface ConfigFault {
  readonly path: string;
  readonly text: string;
}

/** The largest number of characters of all faults. A long key is repeated in each of the faults below it. */
const MAX_CHARS = 1_048_576;

/** Finds the faults of a configuration and formats as many as fit into one message of upstream's form. */
export function findConfigFault(config: unknown, atom: Atom): string | undefined {
  const texts: string[] = [];
  let chars = 0;
  for (const { path, text } of findFaults(config, atom, "")) {
    chars += path.length + text.length;
    if (texts.length > 0 && chars > MAX_CHARS) break;
    texts.push(path === "" ? text : `${path}: ${text}`);
  }
  return texts.length < 2 ? texts[0] : ["errors:", ...texts.map((text) => `  ${text}`)].join("\n");
}

function* findFaults(value: unknown, atom: Atom, path: string): Generator<ConfigFault> {
  if (value === null) return;
  switch (atom.kind) {
    case "any":
      return;
    case "scalar": {
      const text = findScalarFault(value, atom.scalar);
      if (text !== undefined) yield { path, text };
      return;
    }
    case "list":
      if (!Array.isArray(value)) yield { path, text: `expected list, got &{${printGoValue(value)}}` };
      else if (atom.relation === "associative") yield* findItemFaults(value, atom, path);
      else for (const [index, item] of value.entries()) yield* findFaults(item, atom.of, `${path}[${index}]`);
      return;
    default:
      if (!isJsonObject(value)) yield { path, text: `expected map, got &{${printGoValue(value)}}` };
      else yield* findMemberFaults(value, atom, path);
  }
}

function* findMemberFaults(
  value: object,
  atom: Members,
  path: string,
): Generator<ConfigFault> {
  for (const [name, member] of Object.entries(value)) {
    const at = `${path}${printElement(fieldElement(name))}`;
    const type = findMemberAtom(atom, name);
    // The first name that a struct does not have ends the search in it.
    if (type === undefined) {
      yield { path: at, text: "field not declared in schema" };
      return;
    }
    yield* findFaults(member, type, at);
  }
}

function* findItemFaults(items: readonly unknown[], list: AssociativeList, path: string): Generator<ConfigFault> {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    const element = getItemElement(list, item);
    if (!element.ok) {
      yield { path, text: `element ${index}: ${element.error}` };
      return;
    }
    const shown = printElement(element.value);
    if (seen.has(element.value)) yield { path, text: `duplicate entries for key ${shown}` };
    seen.add(element.value);
    yield* findFaults(item, list.of, `${path}${shown}`);
  }
}

function findScalarFault(value: unknown, scalar: Scalar): string | undefined {
  switch (scalar) {
    case "numeric":
      return getJsonType(value) === "number" ? undefined : `expected numeric (int or float), got ${getGoType(value)}`;
    case "string":
      return typeof value === "string"
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `expected boolean, got &{${printGoValue(value)}}`;
    case "untyped":
      return typeof value === "object" && !(value instanceof ExactNumber)
        ? `expected any scalar, got &{${printGoValue(value)}}`
        : undefined;
  }
}
