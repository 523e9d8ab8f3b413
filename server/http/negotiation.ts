/**
 * Content negotiation: which media type a body has, and in which one the answer goes out
 * (`apiserver/pkg/endpoints/handlers/negotiation`).
 */
import { FifoCache } from "../../core/lib/fifo_cache.ts";
import { notAcceptable, unsupportedMediaType } from "../../core/kube/status.ts";
import { createFailureStatus, StatusError } from "../../core/kube/status_error.ts";
import { trimChars } from "../../core/lib/trim.ts";

/** How an object is written. */
export type MediaType = "application/json" | "application/yaml" | "application/vnd.kubernetes.protobuf";

/** What the client wants back. */
export interface Representation {
  readonly mediaType: MediaType;
  /** The object itself, or its transformation. */
  readonly as: "object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";
  /** The version of `meta.k8s.io` of a transformation. */
  readonly metaVersion: "v1" | "v1beta1";
  readonly pretty: boolean;
}

/** Which transformations an endpoint can do; Status and lists of other kinds cannot. */
export interface Convertible {
  readonly table: boolean;
  readonly partial: boolean;
  /** What may stand for `sv`, the version of the server: that of the metadata, for resources. */
  readonly serverVersion?: "v1";
}

/** One element of an Accept header. */
export interface AcceptClause {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Every media type of bodies and answers, in the order of error texts. */
export const MEDIA_TYPES: readonly MediaType[] = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
];

/** Watches have no YAML form. */
const STREAMING_TYPES: readonly MediaType[] = MEDIA_TYPES.filter((type) => type !== "application/yaml");

/** User agents that get indented JSON (people at a terminal or a browser). */
const PRETTY_AGENTS: readonly string[] = ["curl", "Wget", "Mozilla/5.0"];

/** Up to so many, Go sorts by insertion (`sort/zsortinterface.go`, maxInsertion). */
const FEW_CLAUSES = 12;

/** A client sends the same header with all of its requests, and so do all clients of one kind. */
const readHeaders = new FifoCache<readonly AcceptClause[]>({ maxEntries: 64, maxKeyLength: 512 });

/** Reads an Accept header as goautoneg does: clauses that it cannot read are left out, the best comes first. */
export function parseAccept(header: string): readonly AcceptClause[] {
  const known = readHeaders.get(header);
  if (known !== undefined) return known;
  const clauses = readAccept(header);
  readHeaders.set(header, clauses);
  return clauses;
}

function readAccept(header: string): readonly AcceptClause[] {
  const clauses = header.split(",").map(parseClause).filter((clause) => clause !== undefined);
  // Steps like these take quadratic time, and for many clauses Go has others, too.
  if (clauses.length > FEW_CLAUSES) {
    return clauses.sort((a, b) => isBetter(a, b) ? -1 : isBetter(b, a) ? 1 : 0);
  }
  // Go's order is no order in the mathematical sense; the same steps lead to the same outcome.
  for (let end = 1; end < clauses.length; end++) {
    for (let at = end; at > 0 && isBetter(clauses[at]!, clauses[at - 1]!); at--) {
      [clauses[at - 1], clauses[at]] = [clauses[at]!, clauses[at - 1]!];
    }
  }
  return clauses;
}

/** Whether a clause names a media type, by itself or by a wildcard. */
export function matchesClause({ type, subtype }: AcceptClause, mediaType: string): boolean {
  const [wantedType = "", wantedSubtype = ""] = splitAtFirst(mediaType, "/");
  return (type === wantedType && (subtype === wantedSubtype || subtype === "*")) || (type === "*" && subtype === "*");
}

/**
 * Chooses how to answer. Throws StatusError 406 when no clause fits.
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

/** A watch that was asked for in YAML is refused, whatever else would do. Throws StatusError 406. */
export function assertStreamable({ mediaType }: Representation): void {
  if (STREAMING_TYPES.includes(mediaType)) return;
  throw notAcceptable(STREAMING_TYPES.map((type) => `${type};stream=watch`));
}

/** A form of its own kind, such as aggregated discovery. */
export interface Transformation {
  readonly g: string;
  readonly v: string;
  readonly as: string;
}

/** How to write a transformation, undefined when no clause asks for it; clauses for the plain object do not count. */
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

/** The representation that a clause's parameters ask for, undefined where it cannot be had. */
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

/** The representation of an error: indented JSON when what the client accepts cannot be had. */
export function negotiateError(accept: string | undefined, query: URLSearchParams, userAgent: string): Representation {
  try {
    return negotiate(accept, query, userAgent, { table: false, partial: false });
  } catch {
    return { mediaType: "application/json", as: "object", metaVersion: "v1", pretty: true };
  }
}

/**
 * 406: an object has no list form, and a list has no object form. Upstream refuses in place of the answer, after
 * everything else, so a write has happened by then (`apiserver/pkg/endpoints/handlers/response.go`,
 * asPartialObjectMetadata).
 *
 * @param goType Go's type of the answer
 */
export function otherFormError(as: "PartialObjectMetadata" | "PartialObjectMetadataList", goType: string): StatusError {
  const is = as === "PartialObjectMetadata" ? "is a list" : "is not a list";
  const message = `you requested ${as}, but the requested object ${is} (*${goType})`;
  return new StatusError(createFailureStatus(406, "NotAcceptable", message));
}

/** The media type of a body; JSON when none is named. Throws StatusError 415. */
export function bodyMediaType(contentType: string | undefined): MediaType {
  if (contentType === undefined || contentType === "") return "application/json";
  const [name, parameters] = splitAtFirst(contentType, ";");
  const found = MEDIA_TYPES.find((type) => type === name.trim().toLowerCase());
  if (found === undefined || !MEDIA_PARAMETERS.test(parameters)) throw unsupportedMediaType(MEDIA_TYPES);
  return found;
}

/** What may follow the first semicolon of a media type (Go's `mime.ParseMediaType`). */
const MEDIA_PARAMETERS =
  /^\s*(?:[!#$%&'*+.^_`|~\w-]+\s*=\s*(?:[!#$%&'*+.^_`|~\w-]+|"(?:[^"\\\r\n]|\\.)*")\s*(?:;\s*|$))*$/;

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

/** A text that is not a number counts as zero, which is the last choice but still one. */
function parseQuality(text: string): number {
  // Two adjacent runs of digits would take quadratic time to refuse a long one.
  return /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : 0;
}

function splitAtFirst(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** goautoneg trims spaces and no other white space. */
function trimSpaces(text: string): string {
  return trimChars(text, " ");
}

/** `pretty` decides where it is given; people at a terminal or a browser get indented JSON anyway. */
function isPrettyRequest(query: URLSearchParams, userAgent: string): boolean {
  const asked = query.get("pretty") ?? "";
  if (asked !== "") return TRUE_TEXTS.includes(asked);
  return PRETTY_AGENTS.some((prefix) => userAgent.startsWith(prefix));
}

/** What Go's `strconv.ParseBool` takes for true. */
const TRUE_TEXTS: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
