/**
 * Content negotiation: which media type a body has, and in which one the answer goes out
 * (`apiserver/pkg/endpoints/handlers/negotiation`).
 */
import { notAcceptable, unsupportedMediaType } from "../../core/kube/status.ts";
import { StatusError, statusOf } from "../../core/kube/status_error.ts";

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
  /** Watches have no YAML form. */
  readonly streaming?: boolean;
  /** Go's type of the answer, named when the other transformation is asked for; lists have `List` at its end. */
  readonly goType?: string;
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

/** Splits an Accept header into clauses, best quality first, order kept among equals. */
export function parseAccept(header: string): readonly AcceptClause[] {
  const clauses = header.split(",").map((part) => parseClause(part)).filter((clause) => clause !== undefined);
  return clauses.map((clause, index) => ({ clause, index }))
    .sort((a, b) => b.clause.quality - a.clause.quality || a.index - b.index)
    .map(({ clause }) => clause);
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
  const clauses = accept === undefined || accept.trim() === "" ? [ANYTHING] : parseAccept(accept);
  for (const clause of clauses) {
    const mediaType = mediaTypeOf(clause, can.streaming === true);
    if (mediaType === undefined) continue;
    const as = clause.parameters["as"];
    const pretty = wantsPretty(clause, query, userAgent);
    if (as === undefined) return { mediaType, as: "object", metaVersion: "v1", pretty };
    if (clause.parameters["g"] !== "meta.k8s.io") continue;
    const metaVersion = clause.parameters["v"];
    if (metaVersion !== "v1" && metaVersion !== "v1beta1") continue;
    if (as === "Table" && can.table && mediaType !== "application/vnd.kubernetes.protobuf") {
      return { mediaType, as, metaVersion, pretty };
    }
    if ((as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") && can.partial) {
      assertSameForm(as, can);
      return { mediaType, as, metaVersion, pretty };
    }
  }
  throw notAcceptable(
    can.streaming === true ? STREAMING_TYPES.map((type) => `${type};stream=watch`) : MEDIA_TYPES,
  );
}

/** The representation of an error: indented JSON when what the client accepts cannot be had. */
export function negotiateError(accept: string | undefined, query: URLSearchParams, userAgent: string): Representation {
  try {
    return negotiate(accept, query, userAgent, { table: false, partial: false });
  } catch {
    return { mediaType: "application/json", as: "object", metaVersion: "v1", pretty: true };
  }
}

/** An object has no list form, and a list no object form; watches send objects. */
function assertSameForm(as: "PartialObjectMetadata" | "PartialObjectMetadataList", can: Convertible): void {
  if (can.goType === undefined) return;
  const isList = can.goType.endsWith("List");
  if (isList === (as === "PartialObjectMetadataList")) return;
  const is = isList ? "is a list" : "is not a list";
  throw new StatusError(
    statusOf(406, "NotAcceptable", `you requested ${as}, but the requested object ${is} (*${can.goType})`),
  );
}

/** The media type of a body; JSON when none is named. Throws StatusError 415. */
export function bodyMediaType(contentType: string | undefined): MediaType {
  const name = (contentType ?? "").split(";")[0]!.trim().toLowerCase();
  if (name === "") return "application/json";
  const found = MEDIA_TYPES.find((type) => type === name);
  if (found === undefined) throw unsupportedMediaType(MEDIA_TYPES);
  return found;
}

const ANYTHING: AcceptClause = { type: "*", subtype: "*", quality: 1, parameters: {} };

function parseClause(text: string): AcceptClause | undefined {
  const [name, ...rest] = text.split(";").map((part) => part.trim());
  const [type, subtype] = (name ?? "").toLowerCase().split("/");
  if (type === undefined || type === "") return undefined;
  const parameters: Record<string, string> = {};
  let quality = 1;
  for (const part of rest) {
    const equals = part.indexOf("=");
    if (equals < 0) continue;
    const key = part.slice(0, equals).trim().toLowerCase();
    const value = part.slice(equals + 1).trim().replace(/^"(.*)"$/, "$1");
    if (key === "q") quality = Number.isFinite(Number(value)) ? Number(value) : 1;
    else parameters[key] = value;
  }
  return { type, subtype: subtype ?? "*", quality, parameters };
}

function mediaTypeOf(clause: AcceptClause, streaming: boolean): MediaType | undefined {
  const offered = streaming ? STREAMING_TYPES : MEDIA_TYPES;
  if (clause.type === "*" && clause.subtype === "*") return "application/json";
  if (clause.type === "application" && clause.subtype === "*") return "application/json";
  return offered.find((type) => type === `${clause.type}/${clause.subtype}`);
}

function wantsPretty(clause: AcceptClause, query: URLSearchParams, userAgent: string): boolean {
  const asked = clause.parameters["pretty"] ?? query.get("pretty") ?? undefined;
  if (asked !== undefined) return asked === "" || asked === "1" || asked.toLowerCase() === "true";
  return PRETTY_AGENTS.some((prefix) => userAgent.startsWith(prefix));
}
