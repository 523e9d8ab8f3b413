/**
 * Service account tokens: JSON Web Tokens in compact form (RFC 7515 section 7.1), as kube-apiserver's library reads and
 * writes them (go-jose v2), with the claims of RFC 7519 and, under `kubernetes.io`, the account and the object to which
 * the token is bound (`pkg/serviceaccount/claims.go`). Decision 40 says why they are read here.
 *
 * Their keys (`pkg/serviceaccount/jwt.go`): RSA keys sign RS256, and ECDSA keys the algorithm of their curve. A key has
 * exactly one algorithm here, so the header of a token never chooses how it is verified.
 */
import { omitUndefined } from "../lib/record.ts";
import { getMember, isJsonObject, type JsonObject } from "../kube/json_value.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodeBase64Url } from "../lib/encodings.ts";
import { CREDENTIAL_ID_KEY, listAccountGroups, toAccountUsername, type UserInfo } from "../kube/user.ts";
import { Buffer } from "node:buffer";
import { parseJson } from "../kube/wire/json_parser.ts";
import { marshalJson } from "../lib/go_text.ts";
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import { parseCertificate } from "../pki/x509/certificate.ts";
import { toResult } from "../pki/asn1/der.ts";
import { parsePrivateKey } from "../pki/keys/keys.ts";
import { encodePem, parsePemBlocks, type PemBlock } from "../pki/asn1/pem.ts";
import { parsePublicKey } from "../pki/keys/public_key.ts";

export interface ObjectClaim {
  readonly name: string;
  readonly uid: string;
}

/** The claims of a token. Times are in seconds since 1970. */
export interface TokenClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly issuedAt?: number;
  readonly notBefore?: number;
  readonly expiry?: number;
  /** The id of the token; empty when it has none. */
  readonly id: string;
  readonly namespace: string;
  readonly account: ObjectClaim;
  readonly pod?: ObjectClaim;
  readonly secret?: ObjectClaim;
  /** The node of the pod, or the node to which the token is bound. */
  readonly node?: ObjectClaim;
  /** The time by which a pod should renew the token, which expires later. */
  readonly warnAfter?: number;
  /** Present if the token is bound to a webhook configuration, which this server does not support. */
  readonly isWebhookBound?: true;
}

/** The tolerance of times in tokens (go-jose `jwt.DefaultLeeway`). */
export const LEEWAY_SECONDS = 60;

export function encodeClaims(claims: TokenClaims): JsonObject {
  return {
    iss: claims.issuer,
    sub: claims.subject,
    aud: claims.audiences,
    iat: claims.issuedAt,
    nbf: claims.notBefore,
    exp: claims.expiry,
    jti: claims.id,
    "kubernetes.io": {
      namespace: claims.namespace,
      serviceaccount: encodeObjectClaim(claims.account),
      pod: encodeObjectClaim(claims.pod),
      secret: encodeObjectClaim(claims.secret),
      node: encodeObjectClaim(claims.node),
      warnafter: claims.warnAfter,
    },
  };
}

/** Go omits the uid of a node that does not exist. */
function encodeObjectClaim(claim: ObjectClaim | undefined): JsonObject | undefined {
  if (claim === undefined) return undefined;
  return { name: claim.name, ...(claim.uid === "" ? {} : { uid: claim.uid }) };
}

/** Reads the claims of a token; undefined when a claim has another type. */
export function parseClaims(members: JsonObject): TokenClaims | undefined {
  const own = getMember(members, "kubernetes.io") ?? {};
  const audiences = parseAudiences(getMember(members, "aud"));
  if (!isJsonObject(own) || audiences === undefined) return undefined;
  const texts = readAll(members, ["iss", "sub", "jti"], readText);
  const times = readAll(members, ["iat", "nbf", "exp"], readTime);
  const objects = readAll(own, ["serviceaccount", "pod", "secret", "node", ...WEBHOOK_CLAIMS], readObjectClaim);
  const namespace = readText(own, "namespace");
  const warnAfter = readTime(own, "warnafter");
  if (texts === undefined || times === undefined || objects === undefined) return undefined;
  if (namespace === INVALID || warnAfter === INVALID) return undefined;
  const [issuer = "", subject = "", id = ""] = texts;
  const [issuedAt, notBefore, expiry] = times;
  const [account = { name: "", uid: "" }, pod, secret, node, ...webhooks] = objects;
  return {
    issuer,
    subject,
    audiences,
    id,
    namespace: namespace ?? "",
    account,
    ...omitUndefined({ issuedAt, notBefore, expiry, pod, secret, node }),
    ...(warnAfter === undefined || warnAfter === 0 ? {} : { warnAfter }),
    ...(webhooks.some((claim) => claim !== undefined) ? { isWebhookBound: true } : {}),
  };
}

const WEBHOOK_CLAIMS = ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"];

/** Marks a claim of the wrong type. */
const INVALID = Symbol("invalid claim");

type Read<T> = (object: JsonObject, name: string) => T | undefined | typeof INVALID;

function readAll<T>(object: JsonObject, names: readonly string[], read: Read<T>): (T | undefined)[] | undefined {
  const values: (T | undefined)[] = [];
  for (const name of names) {
    const value = read(object, name);
    if (value === INVALID) return undefined;
    values.push(value);
  }
  return values;
}

function readText(object: JsonObject, name: string): string | undefined | typeof INVALID {
  const value = getMember(object, name) ?? undefined;
  return value === undefined || typeof value === "string" ? value : INVALID;
}

function readTime(object: JsonObject, name: string): number | undefined | typeof INVALID {
  const value = getMember(object, name) ?? undefined;
  if (value === undefined) return undefined;
  return typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) : INVALID;
}

function readObjectClaim(object: JsonObject, claim: string): ObjectClaim | undefined | typeof INVALID {
  const value = getMember(object, claim) ?? undefined;
  if (value === undefined) return undefined;
  if (!isJsonObject(value)) return INVALID;
  const name = readText(value, "name");
  const uid = readText(value, "uid");
  return name === INVALID || uid === INVALID ? INVALID : { name: name ?? "", uid: uid ?? "" };
}

function parseAudiences(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (typeof value === "string") return [value];
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
}

/** Checks that a token is valid at a time, in kube-apiserver's words. */
export function checkTimes({ issuedAt, notBefore, expiry }: TokenClaims, nowMs: number): Result<undefined, string> {
  const now = nowMs / 1000;
  if (notBefore !== undefined && now + LEEWAY_SECONDS < notBefore) return err("service account token is not valid yet");
  if (expiry !== undefined && now - LEEWAY_SECONDS > expiry) return err("service account token has expired");
  if (issuedAt !== undefined && now + LEEWAY_SECONDS < issuedAt) {
    return err("service account token is issued in the future");
  }
  return ok(undefined);
}

/** Returns the user of a token that is accepted (`apiserver/pkg/authentication/serviceaccount/util.go`). */
export function toTokenUser({ namespace, account, id, pod, node }: TokenClaims): UserInfo {
  const hasPod = pod !== undefined && pod.name !== "" && pod.uid !== "";
  const hasNode = node !== undefined && node.name !== "";
  return {
    username: toAccountUsername(namespace, account.name),
    uid: account.uid,
    groups: listAccountGroups(namespace),
    extra: {
      ...(id === "" ? {} : { [CREDENTIAL_ID_KEY]: [formatCredentialId(id)] }),
      ...(hasNode ? { [`${EXTRA_PREFIX}node-name`]: [node.name] } : {}),
      ...(hasNode && node.uid !== "" ? { [`${EXTRA_PREFIX}node-uid`]: [node.uid] } : {}),
      ...(hasPod ? { [`${EXTRA_PREFIX}pod-name`]: [pod.name], [`${EXTRA_PREFIX}pod-uid`]: [pod.uid] } : {}),
    },
  };
}

const EXTRA_PREFIX = "authentication.kubernetes.io/";

/** Returns the id under which audit logs show a token. */
export function formatCredentialId(tokenId: string): string {
  return `JTI=${tokenId}`;
}

/** A token in compact form that is not verified yet, so nothing in it may be trusted. */
export interface UnverifiedJwt {
  readonly algorithm: string;
  /** The id of the key; empty when the token has none. */
  readonly keyId: string;
  /** Whether the header requires a reader to understand an extension (`crit`). No extension is known here. */
  readonly isCritical: boolean;
  readonly claims: JsonObject;
  readonly signedText: string;
  readonly signature: Uint8Array;
}

const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** Reports whether a text has the three parts of a token; few other texts do. */
export function hasJwtForm(text: string): boolean {
  return text.split(".", 4).length === 3;
}

/** Parses a token without verifying it; undefined for any other text, and for JSON with two equal names. */
export function parseJwt(text: string): UnverifiedJwt | undefined {
  if (!hasJwtForm(text)) return undefined;
  const [header = "", payload = "", last = ""] = text.split(".");
  const claims = decodeObject(payload);
  const fields = decodeObject(header);
  const signature = decodeBase64url(last);
  if (claims === undefined || fields === undefined || signature === undefined) return undefined;
  const algorithm = getMember(fields, "alg");
  const keyId = getMember(fields, "kid") ?? "";
  if (typeof algorithm !== "string" || typeof keyId !== "string") return undefined;
  return {
    algorithm,
    keyId,
    isCritical: getMember(fields, "crit") !== undefined,
    claims,
    signedText: `${header}.${payload}`,
    signature,
  };
}

/** Checks the signature of a token with the keys that may have made it. The error is go-jose's. */
export function verifyJwt(jwt: UnverifiedJwt, keys: readonly TokenKey[]): Result<JsonObject, string> {
  const candidates = jwt.keyId === "" ? keys : keys.filter(({ id }) => id === jwt.keyId);
  if (candidates.length === 0) return err("invalid signature, no keys found");
  const data = Buffer.from(jwt.signedText, "latin1");
  const isSigned = !jwt.isCritical &&
    candidates.some((key) => key.algorithm === jwt.algorithm && key.verify(data, jwt.signature));
  return isSigned ? ok(jwt.claims) : err("go-jose/go-jose: error in cryptographic primitive");
}

/** Signs claims, whose names are sorted as Go sorts them. */
export function signJwt(signer: TokenSigner, claims: JsonObject): string {
  const header = encodeJson({ alg: signer.key.algorithm, kid: signer.key.id });
  const signedText = `${header}.${encodeJson(claims)}`;
  return `${signedText}.${encodeBase64Url(signer.sign(Buffer.from(signedText, "latin1")))}`;
}

function decodeObject(part: string): JsonObject | undefined {
  const bytes = decodeBase64url(part);
  if (bytes === undefined) return undefined;
  try {
    const { value, duplicates } = parseJson(bytes);
    return isJsonObject(value) && duplicates.length === 0 ? value : undefined;
  } catch {
    return undefined;
  }
}

function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!BASE64URL.test(text) || text.length % 4 === 1) return undefined;
  return new Uint8Array(Buffer.from(text, "base64url"));
}

function encodeJson(value: JsonObject): string {
  return encodeBase64Url(marshalJson(sortNames(value)));
}

function sortNames(value: unknown): unknown {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([name, item]) => [name, sortNames(item)]),
  );
}

/** The algorithms of signatures, by their names in JSON Web Tokens (RFC 7518 section 3.1). */
export type TokenAlgorithm = "RS256" | "ES256" | "ES384" | "ES512";

/** A public key that verifies tokens. */
export interface TokenKey {
  /** The key id in tokens: the SHA-256 of the SubjectPublicKeyInfo in unpadded base64url. */
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
 * Parses every key of a PEM text that may verify tokens: public keys, certificates, and the public half of private
 * keys. Other blocks are skipped (client-go `util/keyutil/key.go`, ParsePublicKeysPEM).
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
  const id = hash("sha256", der, "base64url");
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
