/**
 * Chooses the proxy of a connection by the rules of Go's `golang.org/x/net/http/httpproxy`, as kubectl and kubelet read
 * HTTPS_PROXY and NO_PROXY. It also parses the URL of a receiver of notifications, which names a user in the same way.
 */
import { encodeBase64 } from "./encodings.ts";
import { Secret } from "./brand.ts";
import {
  formatCidr,
  formatIpAddress,
  isInNetwork,
  isWithin,
  parseCidr,
  parseIpAddress,
  withoutBrackets,
} from "./ip_address.ts";
import { err, ok, type Result } from "./result.ts";

/** An HTTP proxy that opens tunnels (RFC 9110, CONNECT). */
export interface HttpProxy {
  /** Its URL without user name and password, as messages name it. */
  readonly origin: string;
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** The value of the header Proxy-Authorization, for a proxy with a user. */
  readonly authorization?: Secret<string>;
  /** The URL as it was given, which may contain a password. */
  readonly url: Secret<string>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Parses the URL of a proxy. The error does not quote it, because it may contain a password. */
export function parseProxyUrl(text: string): Result<HttpProxy, string> {
  const url = URL.parse(text);
  if (url === null) return err("it is not a URL: want http://host:port or https://host:port");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return err(`its scheme is "${url.protocol.slice(0, -1)}": want http or https`);
  }
  // Part of a password with a "/" would be taken for the host, and be shown.
  if (/@/.test(url.pathname + url.search + url.hash)) {
    return err('it has "@" after the host: write special characters of a password as %40 for @ and %2F for /');
  }
  const isTls = url.protocol === "https:";
  const authorization = readBasicAuthorization(url);
  if (!authorization.ok) return authorization;
  return ok({
    origin: url.origin,
    isTls,
    host: withoutBrackets(url.hostname),
    port: Number(url.port || (isTls ? 443 : 80)),
    ...(authorization.value === undefined ? {} : { authorization: authorization.value }),
    url: new Secret(text),
  });
}

/** Parses the URL of a receiver of notifications. The error does not quote it, because it may contain a password. */
export function parseReceiver(text: string): Result<URL, string> {
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol)) return err("want a URL such as https://ntfy.example.com/topic");
  // Part of a password with a "/" would be taken for the host, and be shown.
  if (/@/.test(url.pathname)) return err('it has "@" after the host: write special characters of a password as %40');
  const authorization = readBasicAuthorization(url);
  return authorization.ok ? ok(url) : authorization;
}

/** Returns the value of the header (Proxy-)Authorization for the user in a URL; undefined without a user. */
export function readBasicAuthorization({ username, password }: URL): Result<Secret<string> | undefined, string> {
  if (username === "" && password === "") return ok(undefined);
  try {
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return ok(new Secret(`Basic ${encodeBase64(user)}`));
  } catch {
    return err('its user name or password has "%" without two hexadecimal digits');
  }
}

/**
 * Finds the proxy that the environment names for an https server: HTTPS_PROXY, unless the server is `localhost`, a
 * loopback address, or in NO_PROXY. Lower-case names are read where the upper-case ones are empty. Unlike in Go, a
 * proxy that cannot be parsed is an error, because a direct connection would be a surprise.
 */
export function findProxy(server: URL, env: Environment): Result<HttpProxy | undefined, string> {
  const given = env["HTTPS_PROXY"] || env["https_proxy"] || "";
  if (given === "" || !needsProxy(server, env["NO_PROXY"] || env["no_proxy"] || "")) return ok(undefined);
  const proxy = parseProxyUrl(given.includes("://") ? given : `http://${given}`);
  return proxy.ok ? proxy : err(`cannot use HTTPS_PROXY: ${proxy.error}`);
}

function needsProxy(server: URL, noProxy: string): boolean {
  const host = withoutBrackets(server.hostname);
  const port = server.port || "443";
  const ip = parseIpAddress(host);
  if (host === "localhost" || isInNetwork(host, "127.0.0.0/8") || isInNetwork(host, "::1")) return false;
  return !noProxy.split(",").some((entry) => isMatch(entry.trim().toLowerCase(), { host, port, ip }));
}

/** A server in the form that is compared with the entries of NO_PROXY. */
interface Target {
  readonly host: string;
  readonly port: string;
  readonly ip: Uint8Array | undefined;
}

/** Compares one entry of NO_PROXY: `*`, a range, an address or a domain, the last two also with a port. */
function isMatch(entry: string, { host, port, ip }: Target): boolean {
  if (entry === "") return false;
  if (entry === "*") return true;
  const range = parseRange(entry);
  if (range !== undefined) return ip !== undefined && isWithin(ip, range);
  const [, inBrackets, plain, wantedPort] = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(entry) ?? [];
  const name = inBrackets ?? plain ?? entry;
  if (name === "") return false;
  if (wantedPort !== undefined && wantedPort !== "" && wantedPort !== port) return false;
  const address = parseIpAddress(name);
  if (address !== undefined) return ip !== undefined && formatIpAddress(address) === formatIpAddress(ip);
  const domain = toAscii(name.replace(/^\*\./, "."));
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

/** Parses a range with a prefix, in which bits beyond the prefix may be set, as in Go. */
function parseRange(entry: string): ReturnType<typeof parseCidr> {
  const [, address = "", prefix] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
  const bytes = parseIpAddress(address);
  if (bytes === undefined) return undefined;
  const isMapped = bytes.length === 4 && address.includes(":");
  const prefixBits = Number(prefix) - (isMapped ? 96 : 0);
  if (prefixBits < 0 || prefixBits > bytes.length * 8) return undefined;
  return parseCidr(formatCidr({ bytes, prefixBits }));
}

/** Converts a domain, which may have a dot in front and letters beyond ASCII, to the form of a URL's host. */
function toAscii(domain: string): string {
  if (!/\P{ASCII}/u.test(domain)) return domain;
  const dot = domain.startsWith(".") ? "." : "";
  const host = URL.parse(`https://${domain.slice(dot.length)}`)?.hostname;
  return host === undefined ? domain : dot + host;
}
