/** CA bundles: the certificates somebody trusts, and the pin that kubeadm's discovery knows them by. */
import { createHash } from "node:crypto";
import type { Brand } from "../brand.ts";
import { err, ok, type Result } from "../result.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { findPemBlock } from "./pem.ts";

/**
 * Reads a bundle of our own: at least one certificate and nothing but `CERTIFICATE` blocks, each holding one certificate
 * and no headers. Text between blocks is fine, a broken block is not: a CA that silently went missing is worse than an
 * error.
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

/** `sha256:` and the hexadecimal hash of a public key, as in `kubeadm join --discovery-token-ca-cert-hash`. */
export type PublicKeyPin = Brand<string, "PublicKeyPin">;

const PIN = /^sha256:[0-9a-f]{64}$/;

/** The pin of a certificate's public key. */
export function publicKeyPin(certificate: CertificateFacts): PublicKeyPin {
  return `sha256:${createHash("sha256").update(certificate.publicKeyDer).digest("hex")}` as PublicKeyPin;
}

/** Reads a pin; capitals are fine, as for kubeadm. */
export function parsePublicKeyPin(text: string): Result<PublicKeyPin, string> {
  const pin = text.toLowerCase();
  if (PIN.test(pin)) return ok(pin as PublicKeyPin);
  return err("want sha256: and 64 hexadecimal digits, the public key pin of tlsboot ca show");
}

function countBegins(text: string): number {
  return text.split("-----BEGIN ").length - 1;
}
