/**
 * Content negotiation: the media types of bodies and answers (`apiserver/pkg/endpoints/handlers/negotiation`).
 */
import { PATCH_MEDIA_TYPES, type PatchType } from "../../core/kube/patch/patch_result.ts";
import { FifoCache } from "../../core/lib/bounded.ts";
import {
  createFailureStatus,
  notAcceptable,
  StatusError,
  unsupportedMediaType,
} from "../../core/kube/status/status.ts";
import { lookup } from "../../core/lib/record.ts";
import { trimChars } from "../../core/lib/linear_text.ts";

export type MediaType = "application/json" | "application/yaml" | "application/vnd.kubernetes.protobuf";

export interface Representation {
  readonly mediaType: MediaType;
  /** The object itself, or one of its transformations. */
  readonly as: "object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";
  /** The version of `meta.k8s.io` in which a transformation is sent. */
  readonly metaVersion: "v1" | "v1beta1";
  readonly pretty: boolean;
}

/** The transformations that an endpoint supports; Status and lists of other kinds support none. */
export interface Convertible {
  readonly table: boolean;
  readonly partial: boolean;
  /** The accepted value of the parameter `sv`, which requests a server version; absent if the endpoint accepts none. */
  readonly serverVersion?: "v1";
}

export interface AcceptClause {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Every media type of bodies and answers, in the order of error messages. */
export const MEDIA_TYPES: readonly MediaType[] = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
];

/** Watches have no YAML form. */
const STREAMING_TYPES: readonly MediaType[] = MEDIA_TYPES.filter((type) => type !== "application/yaml");

/** The user agents of browsers and command-line tools, for which JSON is indented. */
const PRETTY_AGENTS: readonly string[] = ["curl", "Wget", "Mozilla/5.0"];

/** Up to this number of clauses, Go uses an insertion sort (`sort/zsortinterface.go`, `maxInsertion`). */
const FEW_CLAUSES = 12;

/** A cache of parsed headers: clients of the same kind send the same header with every request. */
const parsedHeaders = new FifoCache<readonly AcceptClause[]>({ maxEntries: 64, maxKeyLength: 512 });

/** Parses an Accept header like goautoneg: malformed clauses are skipped, and the best clause is first. */
export function parseAccept(header: string): readonly AcceptClause[] {
  const known = parsedHeaders.get(header);
  if (known !== undefined) return known;
  const clauses = readAccept(header);
  parsedHeaders.set(header, clauses);
  return clauses;
}

function readAccept(header: string): readonly AcceptClause[] {
  const clauses = header.split(",").map(parseClause).filter((clause) => clause !== undefined);
  // An insertion sort takes quadratic time, and Go does not use one for many clauses either.
  if (clauses.length > FEW_CLAUSES) {
    return clauses.sort((a, b) => isBetter(a, b) ? -1 : isBetter(b, a) ? 1 : 0);
  }
  // Go's comparison is not transitive, so only the same algorithm gives the same order.
  for (let end = 1; end < clauses.length; end++) {
    for (let at = end; at > 0 && isBetter(clauses[at]!, clauses[at - 1]!); at--) {
      [clauses[at - 1], clauses[at]] = [clauses[at]!, clauses[at - 1]!];
    }
  }
  return clauses;
}

/** Whether a clause matches a media type, by name or by a wildcard. */
export function matchesClause({ type, subtype }: AcceptClause, mediaType: string): boolean {
  const [wantedType = "", wantedSubtype = ""] = splitAtFirst(mediaType, "/");
  return (type === wantedType && (subtype === wantedSubtype || subtype === "*")) || (type === "*" && subtype === "*");
}

/**
 * Chooses the representation of the answer. Throws StatusError 406 when no clause matches.
 *
 * @param accept the first Accept header, undefined when absent
 */
export function negotiate(
  accept: string | undefined,
  query: URLSearchParams,
  userAgent: string,
  can: Convertible,
): Representation {
  const chosen = choose(accept ?? "", can);
  if (chosen === undefined) throw notAcceptable(MEDIA_TYPES);
  return { ...chosen, pretty: chosen.pretty || isPrettyRequest(query, userAgent) };
}

/** Throws StatusError 406 for a watch in YAML, even when the client accepts another type. */
export function assertStreamable({ mediaType }: Representation): void {
  if (STREAMING_TYPES.includes(mediaType)) return;
  throw notAcceptable(STREAMING_TYPES.map((type) => `${type};stream=watch`));
}

/** A transformation to another kind, such as aggregated discovery. */
export interface Transformation {
  readonly g: string;
  readonly v: string;
  readonly as: string;
}

/**
 * Chooses the encoding of a transformation; undefined when no clause requests one. Clauses for the plain object are
 * ignored.
 */
export function negotiateTransformation(
  accept: string,
  query: URLSearchParams,
  userAgent: string,
  target: Transformation,
): Pick<Representation, "mediaType" | "pretty"> | undefined {
  for (const clause of accept === "" ? [] : parseAccept(accept)) {
    const { as, g, v, pretty } = clause.parameters;
    if (as !== target.as || g !== target.g || v !== target.v) continue;
    const mediaType = MEDIA_TYPES.find((type) => matchesClause(clause, type) && isAllowed(clause, type, undefined));
    if (mediaType === undefined) continue;
    return { mediaType, pretty: pretty === "1" || isPrettyRequest(query, userAgent) };
  }
  return undefined;
}

function isAllowed(
  { parameters: { stream = "", sv = "" } }: AcceptClause,
  mediaType: MediaType,
  serverVersion: Convertible["serverVersion"],
): boolean {
  if (sv !== "" && sv !== serverVersion) return false;
  return stream === "" || (stream === "watch" && STREAMING_TYPES.includes(mediaType));
}

function choose(accept: string, can: Convertible): Representation | undefined {
  if (accept === "") return { mediaType: "application/json", as: "object", metaVersion: "v1", pretty: false };
  for (const clause of parseAccept(accept)) {
    for (const mediaType of MEDIA_TYPES) {
      const chosen = matchesClause(clause, mediaType) ? findRepresentation(clause, mediaType, can) : undefined;
      if (chosen !== undefined) return chosen;
    }
  }
  return undefined;
}

/** Finds the representation that a clause's parameters request; undefined when the endpoint does not support it. */
function findRepresentation(clause: AcceptClause, mediaType: MediaType, can: Convertible): Representation | undefined {
  if (!isAllowed(clause, mediaType, can.serverVersion)) return undefined;
  const { as, g, v, pretty: indented } = clause.parameters;
  const pretty = indented === "1";
  if (as === undefined && g === undefined && v === undefined) {
    return { mediaType, as: "object", metaVersion: "v1", pretty };
  }
  if (g !== "meta.k8s.io" || (v !== "v1" && v !== "v1beta1")) return undefined;
  if (as === "Table" && can.table && mediaType !== "application/vnd.kubernetes.protobuf") {
    return { mediaType, as, metaVersion: v, pretty };
  }
  if ((as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") && can.partial) {
    return { mediaType, as, metaVersion: v, pretty };
  }
  return undefined;
}

/** Chooses the representation of an error: indented JSON when the client accepts no supported type. */
export function negotiateError(accept: string | undefined, query: URLSearchParams, userAgent: string): Representation {
  try {
    return negotiate(accept, query, userAgent, { table: false, partial: false });
  } catch {
    return { mediaType: "application/json", as: "object", metaVersion: "v1", pretty: true };
  }
}

/**
 * Creates a 406: an object has no list form, and a list has no object form. Upstream refuses when it encodes the
 * response, after a write was stored (`apiserver/pkg/endpoints/handlers/response.go`, `asPartialObjectMetadata`).
 *
 * @param goType the Go type of the answer
 */
export function createOtherFormError(
  as: "PartialObjectMetadata" | "PartialObjectMetadataList",
  goType: string,
): StatusError {
  const is = as === "PartialObjectMetadata" ? "is a list" : "is not a list";
  const message = `you requested ${as}, but the requested object ${is} (*${goType})`;
  return new StatusError(createFailureStatus(406, "NotAcceptable", message));
}

/** Parses the media type of a body, JSON by default. Throws StatusError 415. */
export function parseBodyMediaType(contentType: string | undefined): MediaType {
  if (contentType === undefined || contentType === "") return "application/json";
  const [name, parameters] = splitAtFirst(contentType, ";");
  const found = MEDIA_TYPES.find((type) => type === name.trim().toLowerCase());
  if (found === undefined || !MEDIA_PARAMETERS.test(parameters)) throw unsupportedMediaType(MEDIA_TYPES);
  return found;
}

/** The valid parameters after the first semicolon of a media type (Go's `mime.ParseMediaType`). */
const MEDIA_PARAMETERS =
  /^\s*(?:[!#$%&'*+.^_`|~\w-]+\s*=\s*(?:[!#$%&'*+.^_`|~\w-]+|"(?:[^"\\\r\n]|\\.)*")\s*(?:;\s*|$))*$/;

/** Finds the type of a patch by its Content-Type; undefined for other types. */
export function findPatchType(contentType: string | undefined): PatchType | undefined {
  return lookup(PATCH_MEDIA_TYPES, (contentType ?? "").split(";")[0]!.trim().toLowerCase());
}

/** Parses the Content-Type of a patch. Throws StatusError 415. */
export function parsePatchType(contentType: string | undefined): PatchType {
  const type = findPatchType(contentType);
  if (type === undefined) throw unsupportedMediaType(Object.keys(PATCH_MEDIA_TYPES));
  return type;
}

function parseClause(text: string): AcceptClause | undefined {
  const [name, rest] = splitAtFirst(trimSpaces(text), ";");
  const [rawType, afterType] = splitAtFirst(name, "/");
  const type = trimSpaces(rawType);
  const [rawSubtype, afterSubtype] = splitAtFirst(afterType, "/");
  if (afterSubtype !== "" || (afterType === "" && type !== "*")) return undefined;
  const parameters: Record<string, string> = {};
  let quality = 1;
  for (const part of rest === "" ? [] : rest.split(";")) {
    const [key, afterKey] = splitAtFirst(part, "=");
    const [value, afterValue] = splitAtFirst(afterKey, "=");
    if (afterKey === "" || afterValue !== "") continue;
    if (trimSpaces(key) === "q") quality = parseQuality(value);
    else parameters[trimSpaces(key)] = trimSpaces(value);
  }
  return { type, subtype: afterType === "" ? "*" : trimSpaces(rawSubtype), quality, parameters };
}

function isBetter(a: AcceptClause, b: AcceptClause): boolean {
  return a.quality > b.quality || (a.type !== "*" && b.type === "*") || (a.subtype !== "*" && b.subtype === "*");
}

/** A quality that is not a number counts as zero, which goautoneg still accepts as the last choice. */
function parseQuality(text: string): number {
  // Two adjacent runs of digits in the pattern would take quadratic time for a long text.
  return /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : 0;
}

function splitAtFirst(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** Trims spaces and no other white space, like goautoneg. */
function trimSpaces(text: string): string {
  return trimChars(text, " ");
}

/** Whether JSON is indented: the parameter `pretty` decides, and without it the user agent. */
function isPrettyRequest(query: URLSearchParams, userAgent: string): boolean {
  const requested = query.get("pretty") ?? "";
  if (requested !== "") return TRUE_TEXTS.includes(requested);
  return PRETTY_AGENTS.some((prefix) => userAgent.startsWith(prefix));
}

/** The texts that Go's `strconv.ParseBool` accepts as true. */
const TRUE_TEXTS: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
