/** Decides whether an existing CSR of the wanted name may be used (client-go `util/certificate/csr/csr.go`). */
import type { CertificateSigningRequest } from "../kube/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { publicKeysEqual } from "../pki/keys.ts";
import { formatName } from "../pki/names.ts";
import { decodeBase64 } from "../lib/base64.ts";
import { findPemBlock } from "../pki/pem.ts";
import { parseCertificationRequest, type RequestFacts, verifyRequestSignature } from "../pki/pkcs10.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parseCertificateChain } from "./credential_pair.ts";
import { parseRequest } from "../csr/request.ts";

/** The request that the client would have created. */
export interface ExpectedRequest {
  /** The PEM text of the client's request. */
  readonly requestPem: string;
  readonly signerName: string;
  /** DER SubjectPublicKeyInfo of the client's key. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
}

/**
 * Checks that a stored request has the same subject, signer and key, and that its certificate, if any, is still valid.
 * The error is client-go's text (ensureCompatible). Like client-go, it checks neither usages nor a denial.
 */
export function checkCompatible(
  stored: CertificateSigningRequest,
  own: ExpectedRequest,
  now: Date,
): Result<true, string> {
  const storedRequest = parseRequestPem(stored.spec.request === null ? undefined : decodeText(stored.spec.request));
  if (!storedRequest.ok) return err(`unable to parse new csr: ${storedRequest.error}`);
  const ownRequest = parseRequestPem(own.requestPem);
  if (!ownRequest.ok) return err(`unable to parse original csr: ${ownRequest.error}`);
  const [storedName, ownName] = [formatName(storedRequest.value.subject), formatName(ownRequest.value.subject)];
  if (storedName !== ownName) return err(`csr subjects differ: new: ${storedName}, orig: ${ownName}`);
  const signerName = stored.spec.signerName;
  if (signerName !== "" && own.signerName !== "" && signerName !== own.signerName) {
    return err(`csr signerNames differ: new "${signerName}", orig: "${own.signerName}"`);
  }
  const signature = checkSignature(storedRequest.value, own.publicKeyDer);
  if (!signature.ok) return err(`error validating signature new CSR against old key: ${signature.error}`);
  return checkCertificate(stored.status?.certificate ?? "", now);
}

function parseRequestPem(pem: string | undefined): Result<RequestFacts, string> {
  const block = pem === undefined ? undefined : findPemBlock(pem)?.block;
  if (block === undefined || block.label !== "CERTIFICATE REQUEST") {
    return err("PEM block type must be CERTIFICATE REQUEST");
  }
  return parseCertificationRequest(block.bytes);
}

function checkSignature(request: RequestFacts, publicKeyDer: Uint8Array<ArrayBuffer>): Result<true, string> {
  // The keys are equal, so verifying with the request's own key is the same as verifying with the client's.
  if (!publicKeysEqual(request.publicKeyDer, publicKeyDer)) return err("the request holds another public key");
  return verifyRequestSignature(request);
}

function checkCertificate(base64: string, now: Date): Result<true, string> {
  if (base64 === "") return ok(true);
  const certificates = parseCertificateChain(decodeText(base64) ?? "");
  if (!certificates.ok) return err(`error parsing signed certificate for CSR: ${certificates.error}`);
  const expired = certificates.value.find((certificate) => certificate.notAfter < now);
  return expired === undefined
    ? ok(true)
    : err(`one of the certificates for the CSR has expired: ${formatTime(expired.notAfter)}`);
}

function decodeText(base64: string): string | undefined {
  const bytes = decodeBase64(base64);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/**
 * Checks that a stored CSR has the same names, usages and lifetime; the error names the first difference. This is stricter
 * than client-go, for requests whose name was chosen by a user.
 */
export function checkSame(stored: CertificateSigningRequest, own: CertificateSigningRequest): Result<true, string> {
  const [theirs, ours] = [parseRequest(stored.spec.request), parseRequest(own.spec.request)];
  if (!theirs.ok) return err(`unable to parse new csr: ${theirs.error}`);
  if (!ours.ok) return err(`unable to parse original csr: ${ours.error}`);
  const usages = (csr: CertificateSigningRequest): string => [...csr.spec.usages ?? []].sort().join(", ");
  if (usages(stored) !== usages(own)) return err(`csr usages differ: new: ${usages(stored)}, orig: ${usages(own)}`);
  if (stored.spec.expirationSeconds !== own.spec.expirationSeconds) return err("csr expirationSeconds differ");
  for (const field of ["dnsNames", "ipAddresses", "emailAddresses", "uris"] as const) {
    const [found, asked] = [theirs.value[field].join(", "), ours.value[field].join(", ")];
    if (found !== asked) return err(`csr ${field} differ: new: ${found}, orig: ${asked}`);
  }
  return ok(true);
}
