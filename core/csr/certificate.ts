/** `status.certificate`: what the API accepts there, and its leaf (`pkg/apis/certificates/validation` validateCertificate). */
import { Buffer } from "node:buffer";
import { type CertificateFacts, parseCertificates } from "../pki/certificate.ts";
import { decodeBase64 } from "../lib/base64.ts";
import { findPemBlock, type PemBlock } from "../pki/pem.ts";
import { goQuote } from "../kube/quote.ts";
import { FifoCache } from "../lib/fifo_cache.ts";
import type { Result } from "../lib/result.ts";

/** A block of `status.certificate` that was read, and the text after it. */
interface CertificateBlock {
  readonly block: PemBlock;
  /** What the block holds, whatever its label. */
  readonly certificates: Result<readonly CertificateFacts[], string>;
  readonly rest: string;
}

/**
 * A certificate that has just been issued is looked at by the validation of the write and by what follows the storage.
 * The first blocks of the last few texts are kept: they follow from the text alone, and reading one costs 0.05 ms and
 * 25 kB. Certificates above the leaf are looked at by the validation only. A leaf with an RSA-4096 key and its issuer
 * have about 6,000 characters.
 */
const firstBlocks = new FifoCache<CertificateBlock>({ maxEntries: 256, maxKeyLength: 8_192 });

/** No path is longer to OpenSSL; kube-apiserver has no limit. */
const MAX_CERTIFICATES = 100;

/**
 * What is wrong with a non-empty `status.certificate` (base64 of PEM), or undefined. Text around the blocks is fine;
 * whether the certificate fits the request is the signer's business, not the API's.
 */
export function findCertificateFault(certificate: string): string | undefined {
  let blocks = 0;
  let count = 0;
  for (let found = readFirstBlock(certificate); found !== undefined; found = readBlock(found.rest)) {
    const { block, certificates } = found;
    if (block.label !== "CERTIFICATE") {
      return `only CERTIFICATE PEM blocks are allowed, found ${goQuote(block.label)}`;
    }
    if (Object.keys(block.headers).length > 0) return "no PEM block headers are permitted";
    if (!certificates.ok) return certificates.error;
    if (certificates.value.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    blocks += 1;
    count += certificates.value.length;
    if (count > MAX_CERTIFICATES) return `too many certificates: limit is ${MAX_CERTIFICATES}`;
  }
  return blocks === 0 ? "must contain at least one CERTIFICATE PEM block" : undefined;
}

/** The leaf of `status.certificate` (base64 of PEM): the first certificate of the first block; undefined if unreadable. */
export function findLeafCertificate(certificate: string): CertificateFacts | undefined {
  const certificates = readFirstBlock(certificate)?.certificates;
  return certificates?.ok === true ? certificates.value[0] : undefined;
}

function readFirstBlock(certificate: string): CertificateBlock | undefined {
  const known = firstBlocks.get(certificate);
  if (known !== undefined) return known;
  const pem = Buffer.from(decodeBase64(certificate) ?? new Uint8Array()).toString("latin1");
  const first = readBlock(pem);
  if (first?.block.label === "CERTIFICATE") firstBlocks.set(certificate, first);
  return first;
}

function readBlock(pem: string): CertificateBlock | undefined {
  const found = findPemBlock(pem);
  return found === undefined ? undefined : { ...found, certificates: parseCertificates(found.block.bytes) };
}
