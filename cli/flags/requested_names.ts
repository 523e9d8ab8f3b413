/** Parses the names of a certificate as users type them. The errors describe what is expected. */
import { KEY_USAGES } from "../../core/kube/kinds/certificates_v1.ts";
import { canonicalIp, parseIpAddress } from "../../core/lib/ip_address.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { findDnsNameFault, parseUri } from "../../core/pki/x509/subject_alternative_names.ts";
import { validateSignerName } from "../../core/request/signer_name.ts";

/** Parses a DNS name, which may have a wildcard as its first label. */
export function parseRequestedDnsName(text: string): Result<string, string> {
  if (parseIpAddress(text) !== undefined) return err("it is an IP address: give it with --ip");
  const fault = findDnsNameFault(text.replace(/^\*\./, "").toLowerCase());
  return fault === undefined ? ok(text) : err(`want a DNS name: ${fault}`);
}

/** Parses an IP address into its canonical text. */
export function parseRequestedIpAddress(text: string): Result<string, string> {
  const address = canonicalIp(text);
  return address === undefined ? err("want an IP address") : ok(address);
}

/** Parses a URI with a scheme into the form in which Go writes it into a certificate. */
export function parseRequestedUri(text: string): Result<string, string> {
  const uri = parseUri(text);
  if ("fault" in uri || !/^[a-z][a-z0-9+.-]*:./i.test(text)) {
    return err("want a URI such as spiffe://example.com/web");
  }
  return ok(uri.text);
}

/** Checks that a text is an email address in ASCII. */
export function parseRequestedEmail(text: string): Result<string, string> {
  return /^[!-?A-~]+@[!-?A-~]+$/.test(text) ? ok(text) : err("want an email address");
}

/** Checks the name of a signer. */
export function parseSignerName(text: string): Result<string, string> {
  return validateSignerName("", text).length === 0 ? ok(text) : err("want domain/path, such as example.com/pods");
}

/** Parses a usage by its name in the API; dashes may replace its spaces, so that a shell needs no quotes. */
export function parseRequestedUsage(text: string): Result<string, string> {
  const usage = KEY_USAGES.find((name) => name === text || name.replaceAll(" ", "-") === text.toLowerCase());
  if (usage !== undefined) return ok(usage);
  return err(`want one of ${KEY_USAGES.map((name) => name.replaceAll(" ", "-")).join(", ")}`);
}
