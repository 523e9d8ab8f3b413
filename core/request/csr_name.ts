/**
 * Names a CSR by a digest of its contents, so that a client that repeats a request finds its own CSR again: the first
 * request of a node as kubelet does, any other request by everything that is sent to the API.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { trimChars } from "../lib/trim.ts";

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
 * Creates kubelet's name for a node's request: `node-csr-` and the unpadded base64url of SHA-512/256 over each part in unpadded base64url, each followed by `|`
 * (`pkg/kubelet/certificate/bootstrap/bootstrap.go` digestedName).
 */
export function createNodeCsrName(parts: NodeCsrNameParts): string {
  // SHA-512/256 has its own initial state, so a truncated SHA-512 digest would differ.
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
  /** The fingerprint of the replaced certificate, so that a renewal has another name than the request before it. */
  readonly replaces?: string | undefined;
}

const MAX_TITLE_LENGTH = 40;
/** The digest has 80 bits: enough to avoid collisions, and short enough to read out. */
const DIGEST_LENGTH = 20;

/** Creates the name of any other request: a part of the title and hexadecimal digits of a SHA-256, such as `web-example-com-0f3c…`. */
export function createCsrName(parts: CsrNameParts): string {
  const text = JSON.stringify([
    Buffer.from(parts.signedDer).toString("base64"),
    parts.signerName,
    parts.usages,
    parts.expirationSeconds ?? null,
    parts.replaces ?? null,
  ]);
  const digest = createHash("sha256").update(text).digest("hex").slice(0, DIGEST_LENGTH);
  const words = trimChars(parts.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, MAX_TITLE_LENGTH), "-");
  return `${words === "" ? "request" : words}-${digest}`;
}
