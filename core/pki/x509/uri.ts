/**
 * URIs in certificates: those of subject alternative names, with the acceptance and the rewriting of Go's `net/url`, and the
 * URLs of documents about a CA.
 */

/** A URI that Go accepts, in the form in which Go writes it into a certificate, or the fault of the URI. */
export type ParsedUri = { readonly text: string } | { readonly fault: string };

/** The longest URL in a certificate: every certificate carries it, and some programs read no longer ones. */
export const MAX_URL_LENGTH = 1_024;

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const CONTROL = /\p{Cc}/u;
const CONTROLS = /\p{Cc}/gu;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2}).{0,2}/;
/** The characters that Go's `net/url` always escapes in a path or fragment. */
const UNSAFE = /[ "<>\\^`{|}]/g;

/** Parses the ASCII text of a URI name (RFC 5280 §4.2.1.6). */
export function parseUri(text: string): ParsedUri {
  const fail = (why: string): ParsedUri => ({
    fault: `x509: cannot parse URI ${JSON.stringify(text)}: parse ${JSON.stringify(text)}: ${why}`,
  });
  const hash = text.indexOf("#");
  const whole = hash < 0 ? text : text.slice(0, hash);
  const fragment = hash < 0 ? "" : text.slice(hash + 1);
  if (CONTROL.test(whole)) return fail("net/url: invalid control character in URL");
  if (whole.startsWith(":")) return fail("missing protocol scheme");

  const scheme = SCHEME.exec(whole)?.[0] ?? "";
  const afterScheme = whole.slice(scheme.length);
  const question = afterScheme.indexOf("?");
  const hierarchy = question < 0 ? afterScheme : afterScheme.slice(0, question);
  const query = question < 0 ? "" : afterScheme.slice(question);
  const start = scheme.toLowerCase();
  if (!hierarchy.startsWith("/")) {
    // `mailto:someone` and `urn:…` are kept as they are.
    if (scheme !== "") return withFragment(start + hierarchy + query, fragment, fail);
    if ((hierarchy.split("/", 1)[0] ?? "").includes(":")) {
      return fail("first path segment in URL cannot contain colon");
    }
  }
  const hasAuthority = hierarchy.startsWith("//") && (scheme !== "" || !hierarchy.startsWith("///"));
  const slash = hasAuthority ? hierarchy.indexOf("/", 2) : 0;
  const authority = !hasAuthority ? "" : hierarchy.slice(0, slash < 0 ? undefined : slash);
  const path = hasAuthority && slash < 0 ? "" : hierarchy.slice(slash);
  const hostFault = hasAuthority ? findAuthorityFault(authority.slice(2), /^https?:$/.test(start)) : undefined;
  if (hostFault !== undefined) return fail(hostFault);
  const host = authority.slice(2).split("@").at(-1) ?? "";
  if (host !== "" && !isHostName(host)) {
    return { fault: `x509: cannot parse URI ${JSON.stringify(text)}: invalid domain` };
  }
  const escape = BAD_ESCAPE.exec(path);
  if (escape !== null) return fail(`invalid URL escape ${JSON.stringify(escape[0])}`);
  return withFragment(start + authority + path.replace(UNSAFE, percent) + query, fragment, fail);
}

/**
 * Reports whether a text can be the URL of a revocation list, or of another document about a CA. RFC 5280 §4.2.1.13 names
 * http and ldap; https is accepted, although a client may need the list to check the certificate of that server.
 */
export function isDocumentUrl(text: string): boolean {
  return text.length <= MAX_URL_LENGTH && /^(?:https?|ldap):\/\/[\x21-\x7e]+$/.test(text) && URL.canParse(text);
}

function withFragment(text: string, fragment: string, fail: (why: string) => ParsedUri): ParsedUri {
  const escape = BAD_ESCAPE.exec(fragment);
  if (escape !== null) return fail(`invalid URL escape ${JSON.stringify(escape[0])}`);
  const escaped = fragment.replace(UNSAFE, percent).replace(CONTROLS, percent);
  return { text: escaped === "" ? text : `${text}#${escaped}` };
}

/** Finds the fault of an authority. Go allows several colons in the hosts of databases, but not in those of web servers. */
function findAuthorityFault(authority: string, isWeb: boolean): string | undefined {
  const at = authority.lastIndexOf("@");
  if (at >= 0 && !/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) {
    return "net/url: invalid userinfo";
  }
  const host = authority.slice(at + 1);
  const bracket = host.startsWith("[") ? host.lastIndexOf("]") : undefined;
  if (bracket === -1) return "missing ']' in host";
  const colon = bracket !== undefined ? bracket + 1 : isWeb ? host.indexOf(":") : host.lastIndexOf(":");
  const port = colon < 0 ? "" : host.slice(colon);
  if (port !== "" && !/^:[0-9]*$/.test(port)) return `invalid port ${JSON.stringify(port)} after host`;
  const escape = BAD_ESCAPE.exec(host);
  if (escape !== null) return `invalid URL escape ${JSON.stringify(escape[0])}`;
  const bad = /[ \\^`{|}/]/.exec(host);
  return bad === null ? undefined : `invalid character ${JSON.stringify(bad[0])} in host name`;
}

/** Go's `domainNameValid` as of 1.26: visible ASCII, no empty label, no final dot. */
function isHostName(host: string): boolean {
  return /^[!-~]+$/.test(host) && !host.split(".").includes("");
}

function percent(char: string): string {
  return "%" + char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
}
