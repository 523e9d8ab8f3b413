/** Names for a certificate as people type them, checked one by one; the errors say what would be right. */
import { findDnsNameFault } from "../pki/dns_name.ts";
import { KEY_USAGES } from "../kube/certificates_v1.ts";
import { canonicalIp, parseIpAddress } from "../pki/ip_address.ts";
import { parseUri } from "../pki/uri.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** A DNS name, also with a wildcard as its first label. */
export function parseRequestedDnsName(text: string): Result<string, string> {
  if (parseIpAddress(text) !== undefined) return err("it is an IP address: give it with --ip");
  const fault = findDnsNameFault(text.replace(/^\*\./, "").toLowerCase());
  return fault === undefined ? ok(text) : err(`want a DNS name: ${fault}`);
}

/** An IP address, in its canonical text. */
export function parseRequestedIpAddress(text: string): Result<string, string> {
  const address = canonicalIp(text);
  return address === undefined ? err("want an IP address") : ok(address);
}

/** A URI with a scheme, in the form in which Go writes it into a certificate. */
export function parseRequestedUri(text: string): Result<string, string> {
  const uri = parseUri(text);
  if ("fault" in uri || !/^[a-z][a-z0-9+.-]*:./i.test(text)) {
    return err("want a URI such as spiffe://example.com/web");
  }
  return ok(uri.text);
}

/** An email address in ASCII. */
export function parseRequestedEmail(text: string): Result<string, string> {
  return /^[!-?A-~]+@[!-?A-~]+$/.test(text) ? ok(text) : err("want an email address");
}

/** A usage by its name in the API; dashes stand for its spaces, so that no quotes are needed. */
export function parseRequestedUsage(text: string): Result<string, string> {
  const usage = KEY_USAGES.find((name) => name === text || name.replaceAll(" ", "-") === text.toLowerCase());
  if (usage !== undefined) return ok(usage);
  return err(`want one of ${KEY_USAGES.map((name) => name.replaceAll(" ", "-")).join(", ")}`);
}
