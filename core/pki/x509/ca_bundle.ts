/** CA bundles, the certificates that a client or server trusts. */
import { err, ok, type Result } from "../../lib/result.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { findPemBlock, parsePemBlocks } from "../asn1/pem.ts";

/**
 * Parses a bundle: at least one certificate and only `CERTIFICATE` blocks, each with one certificate and no headers. Text
 * between blocks is allowed. A malformed block is an error, because silently ignoring a CA would be worse.
 */
export function parseCaBundle(pem: string): Result<readonly CertificateFacts[], string> {
  const certificates: CertificateFacts[] = [];
  let rest = pem;
  for (let found = findPemBlock(rest); found !== undefined; found = findPemBlock(rest)) {
    const { block } = found;
    const position = certificates.length + 1;
    // A skipped block leaves its BEGIN line before the one that was found.
    const consumed = rest.slice(0, rest.length - found.rest.length);
    if (countBegins(consumed) > 1) return err(`PEM block ${position} is malformed`);
    if (block.label !== "CERTIFICATE") return err(`only CERTIFICATE PEM blocks are allowed, found "${block.label}"`);
    if (Object.keys(block.headers).length > 0) return err("no PEM block headers are permitted");
    const parsed = parseCertificate(block.bytes);
    if (!parsed.ok) return err(`certificate ${position}: ${parsed.error}`);
    certificates.push(parsed.value);
    rest = found.rest;
  }
  if (countBegins(rest) > 0) return err(`PEM block ${certificates.length + 1} is malformed`);
  return certificates.length === 0 ? err("must contain at least one CERTIFICATE PEM block") : ok(certificates);
}

/** Lists the certificates of a bundle; none when it cannot be parsed. */
export function listBundled(pem: string): readonly CertificateFacts[] {
  const bundle = parseCaBundle(pem);
  return bundle.ok ? bundle.value : [];
}

/** Finds the certificates in a PEM text that can be parsed, and ignores everything else in it. */
export function findCertificates(pem: string): readonly CertificateFacts[] {
  return parsePemBlocks(pem).flatMap(({ label, bytes }) => {
    const parsed = label === "CERTIFICATE" ? parseCertificate(bytes) : undefined;
    return parsed?.ok === true ? [parsed.value] : [];
  });
}

function countBegins(text: string): number {
  return text.split("-----BEGIN ").length - 1;
}
