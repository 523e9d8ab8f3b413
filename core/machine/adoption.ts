/**
 * Lets a client find its CSR again after an interruption. The name of a CSR contains a digest: that of kubelet for the
 * first request of a node, and one of the whole request for any other. An existing CSR with that name may be used when
 * it is the same request (client-go `util/certificate/csr/csr.go`).
 */
import { createHash, hash } from "node:crypto";
import type { CertificateSigningRequest, CertificateSigningRequestSpec } from "../kube/kinds/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { publicKeysEqual } from "../pki/keys/keys.ts";
import { formatName } from "../pki/x509/names.ts";
import { decodeBase64, encodeBase64, encodeBase64Url } from "../lib/encodings.ts";
import { trimChars } from "../lib/linear_text.ts";
import { type RequestFacts, verifyRequestSignature } from "../pki/x509/pkcs10.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { parseCertificateChain } from "./credential_pair.ts";
import { parseRequest } from "../request/parse_request.ts";

/** The parts of a node's request that determine its name. */
export interface NodeCsrNameParts {
  /** The public key as DER of SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** In the order of `spec.usages`. */
  readonly usages: readonly string[];
  /** Subject alternative names of the request; kubelet's first request has none. */
  readonly names?: readonly string[];
}

/**
 * Creates kubelet's name for a node's request: `node-csr-` and the unpadded base64url of SHA-512/256 over each part in
 * unpadded base64url, each followed by `|` (`pkg/kubelet/certificate/bootstrap/bootstrap.go` digestedName).
 */
export function createNodeCsrName(parts: NodeCsrNameParts): string {
  // SHA-512/256 has its own initial state, so a truncated SHA-512 digest would differ.
  const digest = createHash("sha512-256");
  const encoder = new TextEncoder();
  const { commonName, organizations, usages, names = [] } = parts;
  const texts = [commonName, ...organizations, ...usages, ...names].map((text) => encoder.encode(text));
  for (const part of [parts.publicKeyDer, ...texts]) digest.update(`${encodeBase64Url(part)}|`);
  return `node-csr-${encodeBase64Url(digest.digest())}`;
}

/** The parts that determine whether two requests are the same. */
export interface CsrNameParts {
  /** Any text for the beginning of the name, such as the common name. */
  readonly title: string;
  /** The signed part of the PKCS#10 request: key, subject and names. */
  readonly signedDer: Uint8Array;
  readonly signerName: string;
  /** In the order of `spec.usages`. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number | undefined;
  /** The fingerprint of the replaced certificate, so that a renewal gets a different name than the earlier request. */
  readonly replaces?: string | undefined;
}

const MAX_TITLE_LENGTH = 40;
/** The digest has 80 bits: enough to avoid collisions, and short enough to read aloud. */
const DIGEST_LENGTH = 20;

/** Creates the name of any other request: a part of the title and hexadecimal digits of a SHA-256, such as `web-example-com-0f3c…`. */
export function createCsrName(parts: CsrNameParts): string {
  const text = JSON.stringify([
    encodeBase64(parts.signedDer),
    parts.signerName,
    parts.usages,
    parts.expirationSeconds ?? null,
    parts.replaces ?? null,
  ]);
  const digest = hash("sha256", text).slice(0, DIGEST_LENGTH);
  const words = trimChars(parts.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, MAX_TITLE_LENGTH), "-");
  return `${words === "" ? "request" : words}-${digest}`;
}

/** The client's key, and how strictly the requests are compared. */
export interface AdoptionOptions {
  /** DER SubjectPublicKeyInfo of the client's key. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly now: Date;
  /**
   * Whether names, usages and lifetime must be the same too. This is stricter than client-go, for requests whose name
   * was chosen by a user.
   */
  readonly isExact: boolean;
}

/**
 * Checks that a stored CSR is the one that the client would have created: it has the same subject, signer and key, and its
 * certificate, if any, is still valid. The error is client-go's text (ensureCompatible). Like client-go, it does not check
 * a denial, and usages only for an exact request.
 */
export function checkAdoptable(
  stored: CertificateSigningRequest,
  own: CertificateSigningRequest,
  { publicKeyDer, now, isExact }: AdoptionOptions,
): Result<true, string> {
  const storedRequest = parseRequest(stored.spec.request);
  if (!storedRequest.ok) return err(`unable to parse new csr: ${storedRequest.error}`);
  const ownRequest = parseRequest(own.spec.request);
  if (!ownRequest.ok) return err(`unable to parse original csr: ${ownRequest.error}`);
  if (isExact) {
    const difference = findDifference(stored.spec, own.spec) ?? findOtherNames(storedRequest.value, ownRequest.value);
    if (difference !== undefined) return err(difference);
  }
  const [storedName, ownName] = [formatName(storedRequest.value.subject), formatName(ownRequest.value.subject)];
  if (storedName !== ownName) return err(`csr subjects differ: new: ${storedName}, orig: ${ownName}`);
  const [storedSigner, ownSigner] = [stored.spec.signerName, own.spec.signerName];
  if (storedSigner !== "" && ownSigner !== "" && storedSigner !== ownSigner) {
    return err(`csr signerNames differ: new "${storedSigner}", orig: "${ownSigner}"`);
  }
  const signature = checkSignature(storedRequest.value, publicKeyDer);
  if (!signature.ok) return err(`error validating signature new CSR against old key: ${signature.error}`);
  return checkCertificate(stored.status?.certificate ?? "", now);
}

function findDifference(stored: CertificateSigningRequestSpec, own: CertificateSigningRequestSpec): string | undefined {
  const [storedUsages, ownUsages] = [stored, own].map(({ usages = [] }) => [...usages].sort().join(", "));
  if (storedUsages !== ownUsages) return `csr usages differ: new: ${storedUsages}, orig: ${ownUsages}`;
  return stored.expirationSeconds === own.expirationSeconds ? undefined : "csr expirationSeconds differ";
}

function findOtherNames(stored: RequestFacts, own: RequestFacts): string | undefined {
  for (const field of ["dnsNames", "ipAddresses", "emailAddresses", "uris"] as const) {
    const [storedNames, ownNames] = [stored[field].join(", "), own[field].join(", ")];
    if (storedNames !== ownNames) return `csr ${field} differ: new: ${storedNames}, orig: ${ownNames}`;
  }
  return undefined;
}

function checkSignature(request: RequestFacts, publicKeyDer: Uint8Array<ArrayBuffer>): Result<true, string> {
  // The keys are equal, so it does not matter which of them verifies the signature.
  if (!publicKeysEqual(request.publicKeyDer, publicKeyDer)) return err("the request holds another public key");
  return verifyRequestSignature(request, { allowMlDsa: true });
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
