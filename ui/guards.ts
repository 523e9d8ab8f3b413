/**
 * Checks each request before a page sees it, and gives every answer its headers. Another site can make a
 * browser send requests here, and by DNS rebinding even under its own name; none of them may reach a page.
 */

/** The address that the page listens on. No other machine can reach it. */
export const UI_HOST = "127.0.0.1";

/** The longest target of a request, in characters. */
const MAX_TARGET_LENGTH = 4_096;

/** The parts of a request that the guards read. */
export interface UiRequest {
  readonly method: string;
  /** The path with its query, as it was sent. */
  readonly target: string;
  header(name: string): string | undefined;
}

/** The refusal of a request: the status of the answer, and a sentence for the user. */
export interface UiRefusal {
  readonly status: 400 | 403 | 405 | 411 | 413 | 414 | 415 | 421;
  readonly message: string;
}

/** The largest body of a form, in bytes: an inventory of some thousand machines. */
export const MAX_FORM_BYTES = 256 * 1024;

export const ANSWER_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  // With `no-referrer`, browsers send `Origin: null` with the page's own forms (Fetch standard, "append a request
  // `Origin` header"), and the origin of a form could not be checked.
  "referrer-policy": "same-origin",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=()",
};

/** Finds the reason to refuse a request to the server at a port; undefined when it may go on. */
export function findRefusal(request: UiRequest, port: number): UiRefusal | undefined {
  const host = request.header("host") ?? "";
  if (host !== `${UI_HOST}:${port}` && host !== `localhost:${port}`) {
    return { status: 421, message: `this server is http://${UI_HOST}:${port}, and answers to no other name` };
  }
  if (request.target.length > MAX_TARGET_LENGTH) return { status: 414, message: "the address is too long" };
  if (!["GET", "POST"].includes(request.method)) {
    return { status: 405, message: `the method ${request.method.slice(0, 20)} is not served` };
  }
  return findForeignSite(request, host) ?? (request.method === "POST" ? findFormFault(request) : undefined);
}

/**
 * Refuses a request that another site made. Sites of other ports of this machine count as other sites. Only a link may
 * lead here from elsewhere; the browser does not send the cookie with it.
 */
function findForeignSite({ method, header }: UiRequest, host: string): UiRefusal | undefined {
  const refusal: UiRefusal = { status: 403, message: "the request comes from another site" };
  const origin = header("origin");
  if (origin !== undefined && origin !== `http://${host}`) return refusal;
  if (method === "POST" && origin === undefined) return refusal;
  // Browsers send these headers by themselves, and no script can change them (W3C, Fetch Metadata).
  const site = header("sec-fetch-site");
  if (site === undefined || site === "same-origin") return undefined;
  if (method === "POST") return refusal;
  const isLink = header("sec-fetch-mode") === "navigate" && header("sec-fetch-dest") === "document";
  return isLink ? undefined : refusal;
}

/** Accepts only what a form of the page sends. The content length is needed, so that nothing too long is read. */
function findFormFault({ header }: UiRequest): UiRefusal | undefined {
  const [type = ""] = (header("content-type") ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
    return { status: 415, message: "only forms are accepted" };
  }
  const length = header("content-length") ?? "";
  if (!/^\d{1,9}$/.test(length) || header("transfer-encoding") !== undefined) {
    return { status: 411, message: "the length of the form is missing" };
  }
  return Number(length) > MAX_FORM_BYTES ? { status: 413, message: "the form is too large" } : undefined;
}

/** Returns the name of the cookie. Browsers send the cookies of a host to all of its ports, so each port has its own. */
export function getCookieName(port: number): string {
  return `tlsboot-${port}`;
}

export function findCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at >= 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
