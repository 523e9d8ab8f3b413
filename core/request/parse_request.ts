/** Parses PEM and PKCS#10 of a CSR, and verifies the self-signature (`pkg/apis/certificates/helpers.go` ParseCSR). */
import { Buffer } from "node:buffer";
import { decodeBase64 } from "../lib/encodings.ts";
import { findPemBlock } from "../pki/asn1/pem.ts";
import { isMlDsa, type KeyAlgorithmOptions } from "../pki/keys/key_names.ts";
import { findSignatureFaultInBackground } from "../pki/keys/signature.ts";
import {
  parseCertificationRequest,
  type RequestFacts,
  toSignedBytes,
  verifyRequestSignature,
} from "../pki/x509/pkcs10.ts";
import { FifoCache } from "../lib/bounded.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** The facts of a request whose self-signature was verified. */
export type ParsedRequest = RequestFacts & { readonly __verified: true };

/** The length of the longest request that is cached. */
const MAX_CACHED_LENGTH = 16_384;
/**
 * A cache of parsed requests. Admission, the validation of three writes, the approver and the signer all parse the same
 * request, and each signature costs 0.1 ms or more. A request for an RSA-4096 key has about 2,300 characters, one for
 * ML-DSA-87 has 13,400. The facts of a request with many names take five times the memory of its text.
 */
const parsed = new FifoCache<Result<RequestFacts, string>>({
  maxEntries: 2048,
  maxKeyLength: MAX_CACHED_LENGTH,
  maxTotalLength: 4_194_304,
});
/**
 * A certificate must fit into a TLS handshake. Go accepts 256 KiB of certificates (`crypto/tls`
 * maxHandshakeCertificateMsg) and OpenSSL 100 KiB. kube-apiserver has only the limit of its store.
 */
const MAX_REQUEST_BYTES = 262_144;
/** The largest number of names, because policies and every user of the certificate check each one. */
const MAX_NAMES = 10_000;

/** The results of verifications, by the bytes of the request, which all copies of its facts share. */
const verified = new WeakMap<Uint8Array, Result<true, string>>();

/**
 * Parses `spec.request` without verifying its signature. As in kube-apiserver, only the first PEM block counts, and the
 * text around it is ignored. The error is the detail that Kubernetes clients see.
 */
export function parseRequest(requestBase64: string | null): Result<RequestFacts, string> {
  const text = requestBase64 ?? "";
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const answer = decodeRequest(text);
  parsed.set(text, answer);
  return answer;
}

/** Parses `spec.request` and verifies its self-signature. */
export function parseVerifiedRequest(
  requestBase64: string | null,
  options: KeyAlgorithmOptions = {},
): Result<ParsedRequest, string> {
  const request = parseRequest(requestBase64);
  return request.ok ? verifyRequest(request.value, options) : request;
}

/** Verifies the self-signature of a request that `parseRequest` has parsed. */
export function verifyRequest(
  facts: RequestFacts,
  options: KeyAlgorithmOptions = {},
): Result<ParsedRequest, string> {
  // A refusal of ML-DSA is cheap and depends on the options, so it is not cached.
  const isCached = !isRefusedMlDsa(facts, options);
  const signature = (isCached ? verified.get(facts.der) : undefined) ?? verifyRequestSignature(facts, options);
  if (isCached) verified.set(facts.der, signature);
  // The signature has just been verified, and the brand exists only in types.
  return signature.ok ? { ok: true, value: facts as ParsedRequest } : signature;
}

/**
 * Verifies the self-signature of a request on another thread, so the functions above find the result. A request that is
 * too long for the cache would be verified again, so it is skipped.
 */
export async function verifyRequestInBackground(
  requestBase64: string | null,
  options: KeyAlgorithmOptions = {},
): Promise<void> {
  if (requestBase64 !== null && requestBase64.length > MAX_CACHED_LENGTH) return;
  const request = parseRequest(requestBase64);
  if (!request.ok || isRefusedMlDsa(request.value, options) || verified.has(request.value.der)) return;
  const fault = await findSignatureFaultInBackground(toSignedBytes(request.value, options));
  verified.set(request.value.der, fault === undefined ? ok(true) : err(fault.message));
}

function isRefusedMlDsa(facts: RequestFacts, { allowMlDsa = false }: KeyAlgorithmOptions): boolean {
  return !allowMlDsa && (isMlDsa(facts.keyAlgorithm) || isMlDsa(facts.signatureAlgorithm));
}

function decodeRequest(text: string): Result<RequestFacts, string> {
  const bytes = decodeBase64(text);
  // Latin-1 keeps every byte of the text around the block.
  const found = bytes === undefined ? undefined : findPemBlock(Buffer.from(bytes).toString("latin1"));
  if (found === undefined || found.block.label !== "CERTIFICATE REQUEST") {
    return err("PEM block type must be CERTIFICATE REQUEST");
  }
  const { bytes: der } = found.block;
  if (der.length > MAX_REQUEST_BYTES) {
    return err(`too large: ${der.length} bytes of DER, limit is ${MAX_REQUEST_BYTES}`);
  }
  const request = parseCertificationRequest(der);
  const names = request.ok ? countNames(request.value) : 0;
  return names > MAX_NAMES ? err(`too many subject alternative names: ${names}, limit is ${MAX_NAMES}`) : request;
}

function countNames({ dnsNames, emailAddresses, ipAddresses, uris, otherNames }: RequestFacts): number {
  return dnsNames.length + emailAddresses.length + ipAddresses.length + uris.length + otherNames;
}
