/**
 * Chooses the proxy for a connection from HTTPS_PROXY and NO_PROXY, by the rules of Go's
 * `golang.org/x/net/http/httpproxy`, as kubectl and kubelet do.
 */
import { readBasicAuthorization } from "./encodings.ts";
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
  /** Its URL without user name and password, for messages. */
  readonly origin: string;
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** The value of the Proxy-Authorization header, if the URL has a user name or a password. */
  readonly authorization?: Secret<string>;
  /** The original URL, which may contain a password. */
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
  // If the password has an unescaped "/", part of it would be taken for the host and be shown.
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

/**
 * Finds the proxy for an https server in the environment: HTTPS_PROXY, unless the server is `localhost`, a loopback
 * address, or listed in NO_PROXY. If a variable is empty, its lower-case form is read. Unlike in Go, a malformed proxy URL
 * is an error, because no one would expect a direct connection.
 */
export function findProxy(server: URL, env: Environment): Result<HttpProxy | undefined, string> {
  const proxyUrl = env["HTTPS_PROXY"] || env["https_proxy"] || "";
  if (proxyUrl === "" || !needsProxy(server, env["NO_PROXY"] || env["no_proxy"] || "")) return ok(undefined);
  const proxy = parseProxyUrl(proxyUrl.includes("://") ? proxyUrl : `http://${proxyUrl}`);
  return proxy.ok ? proxy : err(`cannot use HTTPS_PROXY: ${proxy.error}`);
}

function needsProxy(server: URL, noProxy: string): boolean {
  const host = withoutBrackets(server.hostname);
  const port = server.port || "443";
  const ip = parseIpAddress(host);
  if (host === "localhost" || isInNetwork(host, "127.0.0.0/8") || isInNetwork(host, "::1")) return false;
  return !noProxy.split(",").some((entry) => isMatch(entry.trim().toLowerCase(), { host, port, ip }));
}

/** A server, in the form in which entries of NO_PROXY are compared with it. */
interface Target {
  readonly host: string;
  readonly port: string;
  readonly ip: Uint8Array | undefined;
}

/** Reports whether an entry of NO_PROXY matches: `*`, a range, or an address or a domain with an optional port. */
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

/** Parses a range in CIDR form. As in Go, bits beyond the prefix may be set. */
function parseRange(entry: string): ReturnType<typeof parseCidr> {
  const [, address = "", prefix] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
  const bytes = parseIpAddress(address);
  if (bytes === undefined) return undefined;
  const isMapped = bytes.length === 4 && address.includes(":");
  const prefixBits = Number(prefix) - (isMapped ? 96 : 0);
  if (prefixBits < 0 || prefixBits > bytes.length * 8) return undefined;
  return parseCidr(formatCidr({ bytes, prefixBits }));
}

/** Converts an internationalized domain, which may start with a dot, to ASCII. */
function toAscii(domain: string): string {
  if (!/\P{ASCII}/u.test(domain)) return domain;
  const dot = domain.startsWith(".") ? "." : "";
  const host = URL.parse(`https://${domain.slice(dot.length)}`)?.hostname;
  return host === undefined ? domain : dot + host;
}
