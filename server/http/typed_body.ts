/** The kind and API version in a body of any media type, and whether an endpoint accepts them. */
import { type DecodedObject, DecodeError, decodeObject } from "../../core/kube/codec/decode.ts";
import { goJsonType, JsonSyntaxError } from "../../core/kube/codec/errors.ts";
import { type JsonDocument, listMembers, parseJson } from "../../core/kube/codec/json_parser.ts";
import { decodeEnvelope, decodeMessage } from "../../core/kube/codec/protobuf.ts";
import { parseYaml } from "../../core/kube/codec/yaml.ts";
import { isJsonObject } from "../../core/kube/json_value.ts";
import { goQuote } from "../../core/kube/quote.ts";
import { ALL_KINDS, statusSchema } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, type Kind, type MessageSchema } from "../../core/kube/schema.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { formatGoType, noKindText } from "./go_names.ts";
import { isKnownKind, UNVERSIONED_KINDS } from "./known_kinds.ts";
import type { MediaType } from "./negotiation.ts";
export { noKindText } from "./go_names.ts";

/** A type with a schema. */
export interface Described<T extends object> {
  readonly schema: MessageSchema<T>;
}

/** A body with its kind and API version, ready to be decoded. */
export interface TypedBody {
  /** The API version, empty when the body has none. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Decodes the body as a kind. Throws DecodeError. */
  decode<T extends object>(kind: Described<T>): DecodedObject<T>;
}

/** The kind, group and version of a body, with the defaults of the endpoint. */
export interface BodyNames {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Parses a body of any media type and finds its kind and API version; the error is Go's message. */
export function readTypedBody(mediaType: MediaType, bytes: Uint8Array): Result<TypedBody, string> {
  try {
    if (mediaType === "application/vnd.kubernetes.protobuf") return ok(typedEnvelope(bytes));
    return typedDocument(mediaType === "application/yaml" ? parseYaml(bytes) : parseJson(bytes));
  } catch (error) {
    if (error instanceof DecodeError) return err(error.message);
    if (!(error instanceof JsonSyntaxError)) throw error;
    return err(mediaType === "application/yaml" ? error.message : noTypeText(error.message));
  }
}

function typedEnvelope(bytes: Uint8Array): TypedBody {
  const { apiVersion, kind, raw } = decodeEnvelope(bytes);
  return {
    // A malformed API version counts as none here (`schema.FromAPIVersionAndKind`, `copyKindDefaults`).
    apiVersion: /^(?:[^/]*\/)?[^/]+$/.test(apiVersion) ? apiVersion : "",
    kind,
    decode: ({ schema }) => ({ object: decodeMessage(schema, raw), strictErrors: [] }),
  };
}

const GO_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string ' +
  '"json:\\"kind,omitempty\\"" }';

/** Finds kind and API version in parsed JSON; the error is Go's message. */
export function typedDocument(document: JsonDocument): Result<TypedBody, string> {
  // `null` and an empty YAML document are an object without fields.
  const value = document.value ?? {};
  if (!isJsonObject(value)) {
    return err(noTypeText(`json: cannot unmarshal ${goJsonType(value)} into Go value of type ${GO_TYPE_META}`));
  }
  const names = { apiVersion: "", kind: "" };
  let fault: string | undefined;
  for (const { key, value: named } of listMembers(document, value)) {
    // Go's own decoder reads the names, and ignores their case.
    const name = /^kind$/iu.test(key) ? "kind" : /^apiversion$/iu.test(key) ? "apiVersion" : undefined;
    if (name === undefined || named === null) continue;
    if (typeof named === "string") names[name] = named;
    else fault ??= `json: cannot unmarshal ${goJsonType(named)} into Go struct field .${name} of type string`;
  }
  if (fault !== undefined) return err(noTypeText(fault));
  if (names.apiVersion.split("/").length > 2) return err(`unexpected GroupVersion string: ${names.apiVersion}`);
  return ok({
    ...names,
    decode: ({ schema }) => decodeObject(schema, value, document),
  });
}

function noTypeText(why: string): string {
  return `couldn't get version/kind; json parse error: ${why}`;
}

/** Completes the names of a body with those of the endpoint (apimachinery `serializer/json`, `gvkWithDefaults`). */
export function withDefaultNames(body: Pick<TypedBody, "apiVersion" | "kind">, kind: Kind): BodyNames {
  const parts = body.apiVersion === "/" ? [""] : body.apiVersion.split("/");
  const [group = "", version = ""] = parts.length === 1 ? ["", parts[0]] : parts;
  const isUnnamed = version === "" && (group === "" || group === kind.group);
  return {
    group: isUnnamed ? kind.group : group,
    version: isUnnamed ? kind.version : version,
    kind: body.kind === "" ? kind.kind : body.kind,
  };
}

/**
 * Finds the reason why a body with these names is not an object of a kind; undefined when it is one. Throws DecodeError
 * when the body does not decode as the kind that it names.
 *
 * @param source the body as text
 * @param handleStrict called with the strict decoding errors of an object in another version, before it is refused
 */
export function findKindFault(
  kind: Kind,
  names: BodyNames,
  body: Pick<TypedBody, "decode">,
  source: () => string,
  handleStrict: (errors: readonly string[]) => void,
): string | undefined {
  const wanted = formatApiVersion(kind);
  const found = formatApiVersion(names);
  if (found === wanted && names.kind === kind.kind && names.version !== "") return undefined;
  const subject = `${names.kind} in version ${goQuote(names.version)} cannot be handled as a ${kind.kind}`;
  if (names.version === "") return `${subject}: Object 'apiVersion' is missing in '${source()}'`;
  if (!isKnownKind(found, names.kind)) return `${subject}: ${noKindText(found, names.kind)}`;
  const strictErrors = decodeAsNamed(names, body);
  if (names.kind === kind.kind && formatGoType(names) === formatGoType(kind)) {
    handleStrict(strictErrors);
    return `the API version in the data (${found}) does not match the expected API version (${wanted})`;
  }
  return `${subject}: converting (${goVersionedName(names)}) to (${formatGoType(kind)}): unknown conversion`;
}

/**
 * Decodes a body as the kind that it names, when that kind has a schema here; returns the strict errors. Throws
 * DecodeError.
 */
export function decodeAsNamed(names: BodyNames, body: Pick<TypedBody, "decode">): readonly string[] {
  const schema = names.kind === "Status"
    ? statusSchema
    : ALL_KINDS.find((known) => known.kind === names.kind && formatApiVersion(known) === formatApiVersion(names))
      ?.schema;
  return schema === undefined ? [] : body.decode({ schema }).strictErrors;
}

/** Returns the versioned Go type of a kind; options and watch events are those of `meta/v1` in every version. */
export function goVersionedName({ version, kind }: BodyNames): string {
  return `${/(?:Options|^WatchEvent)$/.test(kind) || UNVERSIONED_KINDS.includes(kind) ? "v1" : version}.${kind}`;
}
