/**
 * The meaning of a request, parsed from method and target (`apiserver/pkg/endpoints/request/requestinfo.go`): the input of
 * authorization, dispatch and audit. The target is parsed like Go does, because `URL` removes dot segments, which
 * kube-apiserver refuses as names.
 */
import type { Attributes, ResourceAttributes } from "../../core/rbac/attributes.ts";
import { decodeUtf8, parseInt64 } from "../../core/lib/go_text.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { findRequiredName, parseFieldSelector, parseLabelSelector } from "../../core/kube/selectors.ts";
import { lookup } from "../../core/lib/record.ts";
import { trimChars } from "../../core/lib/linear_text.ts";
import { Buffer } from "node:buffer";

/** A resource request or a path request, with the verb that is authorized. */
export interface RequestInfo {
  readonly isResourceRequest: boolean;
  /** The decoded path of the URL. */
  readonly path: string;
  readonly verb: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly namespace: string;
  /** Whether the path has a namespace before the resource, even an empty one as in `/api/v1/namespaces//configmaps`. */
  readonly hasNamespace: boolean;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** The unparsed field selector of a list, a watch or a deletion of a collection; empty for none. */
  readonly fieldSelector: string;
  /** Whether the path begins like that of a resource but contains none; kube-apiserver then answers with an error. */
  readonly isIncomplete: boolean;
  /** The segments from the resource on: resource, name, subresource and any others. */
  readonly parts: readonly string[];
}

/** The paths of health probes, which are served without queueing until the process ends. */
export const PROBE_PATHS: readonly string[] = ["/healthz", "/livez", "/readyz"];

const METHOD_VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** The subresources of a namespace, which are not resources in it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

/** The verbs that come before the resource in legacy paths. */
const VERBS_IN_PATHS: readonly string[] = ["watch", "proxy"];

const VERBS_WITH_SELECTORS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

/** Parses a request from its method, decoded path and query. */
export function parseRequestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  const pathRequest: RequestInfo = {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    apiGroup: "",
    apiVersion: "",
    namespace: "",
    hasNamespace: false,
    resource: "",
    subresource: "",
    name: "",
    fieldSelector: "",
    isIncomplete: false,
    parts: [],
  };
  const segments = trimChars(path, "/").split("/");
  if (segments.length < 3) return pathRequest;

  const isCore = segments[0] === "api";
  if (!isCore && segments[0] !== "apis") return pathRequest;
  if (!isCore && segments.length < 4) return pathRequest;
  const apiGroup = isCore ? "" : segments[1]!;
  const apiVersion = isCore ? segments[1]! : segments[2]!;
  let rest = segments.slice(isCore ? 2 : 3);

  let verb = lookup(METHOD_VERBS, method) ?? "";
  const pathVerb = VERBS_IN_PATHS.find((known) => known === rest[0]);
  if (pathVerb !== undefined) {
    if (rest.length < 2) return { ...pathRequest, isIncomplete: true };
    verb = pathVerb;
    rest = rest.slice(1);
  }
  const namespace = rest[0] === "namespaces" ? rest[1] ?? "" : "";
  const hasNamespace = rest[0] === "namespaces" && rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2]!);
  if (hasNamespace) rest = rest.slice(2);
  const resource = rest[0] ?? "";
  let name = rest[1] ?? "";
  const subresource = verb === "proxy" ? "" : rest[2] ?? "";
  if (name === "" && verb === "get") {
    verb = parseBoolean(query, "watch") === true ? "watch" : "list";
    name = findSelectedName(query);
  } else if (name === "" && verb === "delete") verb = "deletecollection";
  return {
    isResourceRequest: true,
    path,
    verb,
    apiGroup,
    apiVersion,
    namespace,
    hasNamespace,
    resource,
    subresource,
    name,
    // A watch by path is for all objects or for one name, so it has no selectors.
    fieldSelector: pathVerb === undefined && VERBS_WITH_SELECTORS.has(verb) ? query.get("fieldSelector") ?? "" : "",
    isIncomplete: false,
    parts: rest,
  };
}

export function toAttributes(info: RequestInfo): Attributes {
  if (!info.isResourceRequest) return { kind: "path", verb: info.verb, path: info.path };
  return {
    kind: "resource",
    verb: info.verb,
    apiGroup: info.apiGroup,
    apiVersion: info.apiVersion,
    resource: info.resource,
    subresource: info.subresource,
    name: info.name,
    namespace: info.namespace,
    ...toSelectorAttribute(info),
  };
}

/** A malformed selector does not restrict the request. */
function toSelectorAttribute({ fieldSelector }: RequestInfo): Pick<ResourceAttributes, "fieldSelector"> {
  if (fieldSelector === "") return {};
  const parsed = parseFieldSelector(fieldSelector);
  return parsed.ok ? { fieldSelector: parsed.value } : {};
}

/**
 * Parses a query boolean, which is true for any value but `0` and `false` (apimachinery `pkg/runtime/converter.go`).
 */
export function parseBoolean(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  return text !== "0" && text.toLowerCase() !== "false";
}

/**
 * Returns the name in an exact `metadata.name` field selector, if it is safe in a path; empty if another parameter of
 * the list is malformed.
 */
function findSelectedName(query: URLSearchParams): string {
  const text = query.get("fieldSelector");
  if (text === null || text === "") return "";
  const selector = parseFieldSelector(text);
  if (!selector.ok || !parseLabelSelector(query.get("labelSelector") ?? "").ok) return "";
  if (!["limit", "timeoutSeconds"].every((parameter) => parseInt64(query.get(parameter) ?? "0") !== undefined)) {
    return "";
  }
  const name = findRequiredName(selector.value) ?? "";
  return pathSegmentNameErrors(name).length > 0 ? "" : name;
}

export interface RequestTarget {
  /** The unparsed path and query. */
  readonly requestUri: string;
  /** The path, decoded before it is split, so that an escaped slash is a slash; undefined when the target is malformed. */
  readonly path: string | undefined;
  readonly query: URLSearchParams;
}

/** Parses the target of a request line. The scheme and host of an absolute target are ignored. */
export function parseTarget(target: string): RequestTarget {
  const requestUri = target.startsWith("/") ? target : findPathAndQuery(target);
  if (requestUri === undefined) return { requestUri: target, path: undefined, query: new URLSearchParams() };
  const mark = requestUri.indexOf("?");
  return {
    requestUri,
    path: decodePath(mark < 0 ? requestUri : requestUri.slice(0, mark)),
    query: new URLSearchParams(mark < 0 ? "" : normalizeQuery(requestUri.slice(mark + 1))),
  };
}

/** Decodes a URL path; undefined when it has malformed escapes. */
export function decodePath(path: string): string | undefined {
  if (!path.includes("%")) return path;
  if (BROKEN_ESCAPE.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    // Escaped bytes need not be UTF-8.
    const bytes = path.replace(
      /%([0-9a-f]{2})|[^%]+/gi,
      (text, hex: string | undefined) =>
        hex === undefined
          ? Buffer.from(text, "utf8").toString("latin1")
          : String.fromCharCode(Number.parseInt(hex, 16)),
    );
    return decodeUtf8(Buffer.from(bytes, "latin1"));
  }
}

const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i;

/**
 * Removes parameters that Go refuses (`net/url`, `parseQuery`), and adds `=` to a name without a value, which means the same:
 * Node's URLSearchParams takes quadratic time for names without `=`.
 */
function normalizeQuery(query: string): string {
  return query.split("&").filter(isAccepted).map((member) => member.includes("=") ? member : `${member}=`).join("&");
}

function isAccepted(member: string): boolean {
  return member !== "" && !member.includes(";") && !BROKEN_ESCAPE.test(member);
}

/** Finds the path and query of an absolute URL; undefined when it is malformed. */
function findPathAndQuery(url: string): string | undefined {
  if (!URL.canParse(url, "https://localhost")) return undefined;
  const { pathname, search } = new URL(url, "https://localhost");
  return `${pathname}${search}`;
}
