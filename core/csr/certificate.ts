/** `status.certificate`: what the API accepts there, and its leaf (`pkg/apis/certificates/validation` validateCertificate). */
import { Buffer } from "node:buffer";
import { type CertificateFacts, parseCertificates } from "../pki/certificate.ts";
import { decodeBase64, findPemBlock } from "../pki/pem.ts";
import { quoteText } from "../kube/quote.ts";

/**
 * What is wrong with a non-empty `status.certificate` (base64 of PEM), or undefined. Text around the blocks is fine;
 * whether the certificate fits the request is the signer's business, not the API's.
 */
export function findCertificateFault(certificate: string): string | undefined {
  let rest = decodePem(certificate);
  let blocks = 0;
  for (let found = findPemBlock(rest); found !== undefined; found = findPemBlock(rest)) {
    const { block } = found;
    if (block.label !== "CERTIFICATE") {
      return `only CERTIFICATE PEM blocks are allowed, found ${quoteText(block.label)}`;
    }
    if (Object.keys(block.headers).length > 0) return "no PEM block headers are permitted";
    const certificates = parseCertificates(block.bytes);
    if (!certificates.ok) return certificates.error;
    if (certificates.value.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    blocks += 1;
    rest = found.rest;
  }
  return blocks === 0 ? "must contain at least one CERTIFICATE PEM block" : undefined;
}

/** The leaf of `status.certificate` (base64 of PEM): the first certificate of the first block; undefined if unreadable. */
export function findLeafCertificate(certificate: string): CertificateFacts | undefined {
  const found = findPemBlock(decodePem(certificate));
  if (found === undefined) return undefined;
  const certificates = parseCertificates(found.block.bytes);
  return certificates.ok ? certificates.value[0] : undefined;
}

function decodePem(certificate: string): string {
  return Buffer.from(decodeBase64(certificate) ?? new Uint8Array()).toString("latin1");
}
