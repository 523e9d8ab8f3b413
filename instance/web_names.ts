/** The names of web servers, and the domains and networks of the setting `webDomain`, as users write them. */
import { formatCidr, isSharedAddress, parseCidr, parseIpAddress } from "../core/lib/ip_address.ts";
import { err, ok, type Result } from "../core/lib/result.ts";

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** The longest common name (X.520 ub-common-name), which a serving certificate has for people. */
const MAX_NAME = 64;

/** Converts a host name into lower case and A-labels, as a browser does; empty for anything else. */
function toAscii(text: string): string {
  return /[\s/@:?#%\\[\]]/.test(text) ? "" : URL.parse(`https://${text}`)?.hostname ?? "";
}

/** Parses the name of a web server. International names become A-labels (RFC 5890), and capitals lower case. */
export function parseWebName(text: string): Result<string, string> {
  if (text.includes("*")) return err("name one host: wildcards are not supported");
  if (parseIpAddress(text) !== undefined) return err("want a DNS name; add an address with the setting ip");
  const name = toAscii(text);
  if (name === "" || parseIpAddress(name) !== undefined || !name.split(".").every((label) => LABEL.test(label))) {
    return err("want a DNS name, such as nas.home.lan");
  }
  return name.length > MAX_NAME ? err(`want a name of at most ${MAX_NAME} characters`) : ok(name);
}

/** Parses a domain of the setting `webDomain`. The errors say what to write instead. */
export function parseWebDomain(text: string): Result<string, string> {
  if (text.includes("*")) return err("name the domain itself, without a star: all names below it are included");
  if (text.startsWith(".")) return err("write it without the dot in front: all names below it are included");
  if (text.endsWith(".")) return err("write it without the dot at the end");
  if (parseIpAddress(text) !== undefined || text.includes("/")) {
    return err("want a domain; networks belong to the setting webNetwork");
  }
  const domain = toAscii(text);
  if (domain === "" || parseIpAddress(domain) !== undefined || !domain.split(".").every((label) => LABEL.test(label))) {
    return err("want a domain, such as home.lan");
  }
  if (domain === "localhost" || domain.endsWith(".localhost")) {
    return err("every machine is localhost; choose another domain");
  }
  return domain.length > MAX_NAME ? err(`want a domain of at most ${MAX_NAME} characters`) : ok(domain);
}

/** Parses a network of the setting `webNetwork`. */
export function parseWebNetwork(text: string): Result<string, string> {
  const range = parseCidr(text);
  if (range === undefined) {
    return err("want a network such as 192.168.1.0/24 or fd00::/64, without bits after its prefix");
  }
  if (isSharedAddress(range.bytes)) {
    return err("its addresses are the same on every machine; choose the network of the web servers");
  }
  return ok(formatCidr(range));
}
