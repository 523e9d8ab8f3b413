/** Names a kubelet's first CSR by a digest, so that a restarted client finds its own request again. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** The parts of a request that determine its name. */
export interface CsrNameParts {
  /** DER SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** In the order of `spec.usages`. */
  readonly usages: readonly string[];
  /** Subject alternative names of the request; kubelet's first request has none. */
  readonly names?: readonly string[];
}

/**
 * `node-csr-` and the unpadded base64url of SHA-512/256 over each part in unpadded base64url, each followed by `|`
 * (`pkg/kubelet/certificate/bootstrap/bootstrap.go` digestedName).
 */
export function createDigestCsrName(parts: CsrNameParts): string {
  // SHA-512/256 has its own initial state, so that a truncated SHA-512 gives another digest.
  const hash = createHash("sha512-256");
  const encoder = new TextEncoder();
  const { commonName, organizations, usages, names = [] } = parts;
  const texts = [commonName, ...organizations, ...usages, ...names].map((text) => encoder.encode(text));
  for (const part of [parts.publicKeyDer, ...texts]) hash.update(`${toBase64Url(part)}|`);
  return `node-csr-${toBase64Url(hash.digest())}`;
}

function toBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}
