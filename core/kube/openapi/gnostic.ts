/**
 * Encodes JSON documents as gnostic's protobuf messages (`gnostic-models`), the form in which client-go reads OpenAPI. A
 * table for each version maps members to fields.
 */
import { formatYaml } from "../../lib/yaml/format.ts";
import { WireWriter } from "../wire/wire_format.ts";

/** How a JSON value is encoded as a field. */
export type GnosticType =
  | { readonly kind: "text" | "flag" | "number" }
  /** A value of any type, as YAML text in gnostic's message `Any`. */
  | { readonly kind: "any" }
  /** An object with known members; `extensions` is the field of its `x-` members. */
  | { readonly kind: "message"; readonly fields: () => GnosticFields; readonly extensions?: number | undefined }
  /** A list, which is a repeated field. */
  | { readonly kind: "each"; readonly of: GnosticType }
  /** An object with any members, each a `Named…` message with name 1 and value 2. */
  | { readonly kind: "named"; readonly of: GnosticType }
  /** A value that is wrapped in a message, in field `number`. */
  | { readonly kind: "inside"; readonly number: number; readonly of: GnosticType }
  /** The first choice that fits, wrapped in a message. If none fits, the message is empty. */
  | { readonly kind: "either"; readonly choices: readonly GnosticChoice[] };

/** One of the forms that a value can have. */
interface GnosticChoice {
  readonly number: number;
  readonly of: GnosticType;
  fits(value: unknown): boolean;
}

/** Field numbers and types by member name. */
type GnosticFields = Readonly<Record<string, readonly [number: number, type: GnosticType]>>;

/** The type of an object with known members. */
export type GnosticMessage = Extract<GnosticType, { kind: "message" }>;

/** Creates the type of an object with these members; `extensions` is the field of its `x-` members. */
export function createGnosticMessage(fields: () => GnosticFields, extensions?: number): GnosticMessage {
  return { kind: "message", fields, extensions };
}

export const TEXT: GnosticType = { kind: "text" };
export const FLAG: GnosticType = { kind: "flag" };
export const ANY: GnosticType = { kind: "any" };
export const TEXTS: GnosticType = { kind: "each", of: TEXT };

/** Describes a value that is wrapped in a message. */
export function inside(of: GnosticType, number = 1): GnosticType {
  return { kind: "inside", number, of };
}

/** Describes an object with any members that is wrapped in a message. */
export function namedInside(of: GnosticType, number = 1): GnosticType {
  return inside({ kind: "named", of }, number);
}

export function fitsAlways(): boolean {
  return true;
}

/** Encodes a document. Members that the table does not have are omitted. */
export function encodeGnostic(
  document: GnosticMessage,
  value: object,
): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writeMembers(writer, document, value);
  return writer.finish();
}

/** Reports whether a value is a reference, which is an object with `$ref`. */
export function isReference(value: unknown): boolean {
  return typeof value === "object" && value !== null && "$ref" in value;
}

/** Writes one value. Because `WireWriter` writes from the end, the last element or member is written first. */
function write(writer: WireWriter, number: number, type: GnosticType, value: unknown): void {
  switch (type.kind) {
    case "text":
      return writer.string(number, String(value));
    case "flag":
      return writer.bool(number, value === true);
    case "number":
      return writer.double(number, Number(value));
    case "any":
      return writer.nested(number, () => write(writer, 2, TEXT, formatAnyYaml(value)));
    case "message":
      return writer.nested(number, () => writeMembers(writer, type, value as object));
    case "each":
      for (const item of (value as readonly unknown[]).toReversed()) write(writer, number, type.of, item);
      return;
    case "named":
      for (const [name, member] of Object.entries(value as object).reverse()) {
        writeNamed(writer, number, type.of, name, member);
      }
      return;
    case "inside":
      return writer.nested(number, () => write(writer, type.number, type.of, value));
    case "either": {
      const choice = type.choices.find((candidate) => candidate.fits(value));
      return writer.nested(number, () => {
        if (choice !== undefined) write(writer, choice.number, choice.of, value);
      });
    }
  }
}

/** Writes the members of an object, in the order of the table and before its extensions. */
function writeMembers(writer: WireWriter, type: GnosticMessage, value: object): void {
  if (type.extensions !== undefined) {
    for (const [name, member] of Object.entries(value).reverse()) {
      if (name.startsWith("x-")) writeNamed(writer, type.extensions, ANY, name, member);
    }
  }
  for (const [name, [number, of]] of Object.entries(type.fields()).reverse()) {
    const member: unknown = Reflect.get(value, name);
    if (member !== undefined) write(writer, number, of, member);
  }
}

function writeNamed(writer: WireWriter, number: number, of: GnosticType, name: string, value: unknown): void {
  writer.nested(number, () => {
    write(writer, 2, of, value);
    write(writer, 1, TEXT, name);
  });
}

/** Formats scalars, and lists and maps of them, as YAML with the members in their order, as gnostic does. */
function formatAnyYaml(value: unknown): string {
  if (Array.isArray(value) && value.length > 0) {
    return value.map((item) => `- ${formatAnyYaml(item).replace(/\n(?=.)/g, "\n  ")}`).join("");
  }
  if (typeof value !== "object" || value === null || Object.keys(value).length === 0) return formatYaml(value);
  return Object.entries(value).map(([name, member]) => `${name}: ${formatYaml(member)}`).join("");
}
