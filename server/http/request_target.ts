/** Path and query of a request as Go reads them: URLs drop dot segments, which kube-apiserver refuses as names. */
import { Buffer } from "node:buffer";
import { decodeUtf8 } from "../../core/kube/codec/mod.ts";

/** Where a request goes. */
export interface RequestTarget {
  /** Path and query as they came. */
  readonly requestUri: string;
  /** Decoded before it is split, so that an escaped slash is a slash; undefined when the target or an escape is broken. */
  readonly path: string | undefined;
  readonly query: URLSearchParams;
}

/** Reads the target of a request line. An absolute target counts by its path and query. */
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

/** Decodes a URL path; undefined when its escapes are broken. */
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
 * Leaves out members that Go cannot read (`net/url` parseQuery), and ends a name without a value with `=`, which means the
 * same: Node's URLSearchParams takes quadratic time for names without one.
 */
function readableQuery(query: string): string {
  return query.split("&").filter(isReadable).map((member) => member.includes("=") ? member : `${member}=`).join("&");
}

function isReadable(member: string): boolean {
  return member !== "" && !member.includes(";") && !BROKEN_ESCAPE.test(member);
}

/** Undefined for what is no URL. */
function pathAndQuery(url: string): string | undefined {
  if (!URL.canParse(url, "https://localhost")) return undefined;
  const { pathname, search } = new URL(url, "https://localhost");
  return `${pathname}${search}`;
}
