/** The only way in for the bytes of a CSR: PEM, PKCS#10, self-signature (`pkg/apis/certificates/helpers.go` ParseCSR). */
import { Buffer } from "node:buffer";
import { decodeBase64 } from "../lib/base64.ts";
import { findPemBlock } from "../pki/pem.ts";
import { parseCertificationRequest, type RequestFacts, verifyRequestSignature } from "../pki/pkcs10.ts";
import { FifoCache } from "../lib/fifo_cache.ts";
import { err, type Result } from "../lib/result.ts";

/** Facts of a request whose self-signature verified. */
export type ParsedRequest = RequestFacts & { readonly __verified: true };

/**
 * One request is looked at by admission, by the validation of three writes, by the approver and by the signer. The
 * answers for the last few are kept: they follow from the text alone, and each signature costs 0.1 ms and more. A request
 * for an RSA-4096 key has about 2,300 characters.
 */
const parsed = new FifoCache<Result<RequestFacts, string>>({ maxEntries: 2048, maxKeyLength: 4_096 });
/**
 * What becomes a certificate must fit through a handshake: Go takes 256 KiB of certificates (`crypto/tls`
 * maxHandshakeCertificateMsg), OpenSSL 100. kube-apiserver takes whatever fits into its store.
 */
const MAX_REQUEST_BYTES = 262_144;
/** Each name is looked at again and again, by policies and by whoever gets the certificate. */
const MAX_NAMES = 10_000;

const verified = new WeakMap<RequestFacts, Result<ParsedRequest, string>>();

/**
 * Reads `spec.request` without looking at its signature. Only the first PEM block counts; what stands around it is
 * ignored, as kube-apiserver does. The error is the detail that Kubernetes clients see.
 */
export function parseRequest(requestBase64: string | null): Result<RequestFacts, string> {
  const text = requestBase64 ?? "";
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const answer = decodeRequest(text);
  parsed.set(text, answer);
  return answer;
}

/** Reads `spec.request` and checks its self-signature. */
export function parseVerifiedRequest(requestBase64: string | null): Result<ParsedRequest, string> {
  const request = parseRequest(requestBase64);
  return request.ok ? verifyRequest(request.value) : request;
}

/** Checks the self-signature of a request that was read by `parseRequest`. */
export function verifyRequest(facts: RequestFacts): Result<ParsedRequest, string> {
  const known = verified.get(facts);
  if (known !== undefined) return known;
  const signature = verifyRequestSignature(facts);
  // The mark exists in types only; the signature has just been verified.
  const answer: Result<ParsedRequest, string> = signature.ok ? { ok: true, value: facts as ParsedRequest } : signature;
  verified.set(facts, answer);
  return answer;
}

function decodeRequest(text: string): Result<RequestFacts, string> {
  const bytes = decodeBase64(text);
  // Latin-1 keeps every byte of what may stand around the block.
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
