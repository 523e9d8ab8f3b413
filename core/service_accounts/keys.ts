/**
 * The keys of service account tokens (`pkg/serviceaccount/jwt.go`): RSA keys sign RS256, and ECDSA keys the algorithm of
 * their curve. A key has exactly one algorithm here, so that the header of a token never chooses how it is verified.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { Buffer } from "node:buffer";
import { err, ok, type Result } from "../lib/result.ts";
import { parseCertificate } from "../pki/x509/certificate.ts";
import { toResult } from "../pki/asn1/der.ts";
import { parsePrivateKey } from "../pki/keys/keys.ts";
import { encodePem, parsePemBlocks, type PemBlock } from "../pki/asn1/pem.ts";
import { parsePublicKey } from "../pki/keys/public_key.ts";

/** The algorithms of signatures, by their names in JSON Web Tokens (RFC 7518 section 3.1). */
export type TokenAlgorithm = "RS256" | "ES256" | "ES384" | "ES512";

/** A public key that verifies tokens. */
export interface TokenKey {
  /** The unpadded base64url of the SHA-256 of the SubjectPublicKeyInfo, by which a token names its key. */
  readonly id: string;
  readonly algorithm: TokenAlgorithm;
  /** The key as a JSON Web Key, with the members in go-jose's order. */
  readonly jwk: Readonly<Record<string, string>>;
  verify(data: Uint8Array, signature: Uint8Array): boolean;
  /** The key as a PEM block `PUBLIC KEY`. */
  toPem(): string;
}

/** The private key that signs new tokens. */
export interface TokenSigner {
  readonly key: TokenKey;
  sign(data: Uint8Array): Uint8Array;
}

/** Parses the first private key of a PEM text as the signer of tokens. */
export function parseTokenSigner(pem: string): Result<TokenSigner, string> {
  const parsed = parsePrivateKey(pem);
  if (!parsed.ok) return parsed;
  const key = createTokenKey(parsed.value.publicKeyDer());
  if (!key.ok) return key;
  const { algorithm } = key.value;
  const privateKey = createPrivateKey(parsed.value.toPem());
  return ok({
    key: key.value,
    sign: (data) => sign(HASHES[algorithm], data, { key: privateKey, dsaEncoding: "ieee-p1363" }),
  });
}

/**
 * Parses every key of a PEM text that may verify tokens: public keys, certificates, and private keys, of which the public
 * half counts. Other blocks are skipped (client-go `util/keyutil/key.go`, ParsePublicKeysPEM).
 */
export function parseTokenKeys(pem: string): Result<readonly TokenKey[], string> {
  const keys: TokenKey[] = [];
  for (const block of parsePemBlocks(pem)) {
    const der = findPublicKey(block);
    const key = der === undefined ? undefined : createTokenKey(der);
    if (key?.ok === true) keys.push(key.value);
  }
  return keys.length === 0 ? err("data does not contain any valid RSA or ECDSA public keys") : ok(keys);
}

const HASHES: Readonly<Record<TokenAlgorithm, string>> = {
  RS256: "sha256",
  ES256: "sha256",
  ES384: "sha384",
  ES512: "sha512",
};

const CURVE_ALGORITHMS: Readonly<Record<string, TokenAlgorithm>> = {
  "P-256": "ES256",
  "P-384": "ES384",
  "P-521": "ES512",
};

function findPublicKey({ label, headers, bytes }: PemBlock): Uint8Array<ArrayBuffer> | undefined {
  if (label === "PUBLIC KEY") return bytes;
  if (label === "CERTIFICATE") {
    const certificate = parseCertificate(bytes);
    return certificate.ok ? certificate.value.publicKeyDer : undefined;
  }
  if (!label.endsWith("PRIVATE KEY") || Object.keys(headers).length > 0) return undefined;
  const key = parsePrivateKey(encodePem(label, bytes));
  return key.ok ? key.value.publicKeyDer() : undefined;
}

function createTokenKey(der: Uint8Array<ArrayBuffer>): Result<TokenKey, string> {
  const facts = toResult(() => parsePublicKey(der));
  if (!facts.ok) return facts;
  const { algorithm: family, curve = "", weakness } = facts.value;
  if (weakness !== undefined) return err(weakness);
  const algorithm = family === "RSA" ? "RS256" : family === "ECDSA" ? CURVE_ALGORITHMS[curve] : undefined;
  if (algorithm === undefined) return err("want an RSA key, or an ECDSA key of the curve P-256, P-384 or P-521");
  const publicKey = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  const id = createHash("sha256").update(der).digest("base64url");
  return ok({
    id,
    algorithm,
    jwk: createJwk(publicKey, id, algorithm),
    verify: (data, signature) =>
      verify(HASHES[algorithm], data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature),
    toPem: () => encodePem("PUBLIC KEY", der),
  });
}

function createJwk(publicKey: KeyObject, kid: string, alg: TokenAlgorithm): TokenKey["jwk"] {
  const { crv = "", x = "", y = "", n = "", e = "" } = publicKey.export({ format: "jwk" }) as Record<string, string>;
  return alg === "RS256" ? { use: "sig", kty: "RSA", kid, alg, n, e } : { use: "sig", kty: "EC", kid, crv, alg, x, y };
}
