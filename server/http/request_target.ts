/** Path and query of a request, parsed like Go does: `URL` removes dot segments, which kube-apiserver refuses as names. */
import { Buffer } from "node:buffer";
import { decodeUtf8 } from "../../core/kube/codec/mod.ts";

/** The parsed target of a request. */
export interface RequestTarget {
  /** The unparsed path and query. */
  readonly requestUri: string;
  /** The path, decoded before it is split, so that an escaped slash is a slash; undefined when the target is malformed. */
  readonly path: string | undefined;
  readonly query: URLSearchParams;
}

/** Parses the target of a request line. Only the path and query of an absolute target count. */
export function parseTarget(target: string): RequestTarget {
  const requestUri = target.startsWith("/") ? target : pathAndQuery(target);
  if (requestUri === undefined) return { requestUri: target, path: undefined, query: new URLSearchParams() };
  const mark = requestUri.indexOf("?");
  return {
    requestUri,
    path: decodePath(mark < 0 ? requestUri : requestUri.slice(0, mark)),
    query: new URLSearchParams(mark < 0 ? "" : readableQuery(requestUri.slice(mark + 1))),
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
 * Removes members that Go refuses (`net/url`, `parseQuery`), and adds `=` to a name without a value, which means the same:
 * Node's URLSearchParams takes quadratic time for names without `=`.
 */
function readableQuery(query: string): string {
  return query.split("&").filter(isReadable).map((member) => member.includes("=") ? member : `${member}=`).join("&");
}

function isReadable(member: string): boolean {
  return member !== "" && !member.includes(";") && !BROKEN_ESCAPE.test(member);
}

/** Finds the path and query of an absolute URL; undefined when it is malformed. */
function pathAndQuery(url: string): string | undefined {
  if (!URL.canParse(url, "https://localhost")) return undefined;
  const { pathname, search } = new URL(url, "https://localhost");
  return `${pathname}${search}`;
}
