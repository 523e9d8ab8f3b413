/**
 * JSON Web Tokens in compact form (RFC 7515 section 7.1), as kube-apiserver's library reads and writes them
 * (go-jose v2). Decision 40 says why they are read here.
 */
import { Buffer } from "node:buffer";
import { parseJson } from "../kube/wire/json_parser.ts";
import { getMember, isJsonObject, type JsonObject } from "../kube/json_value.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodeBase64Url } from "../lib/encodings.ts";
import { marshalJson } from "../lib/quote.ts";
import type { TokenKey, TokenSigner } from "./keys.ts";

/** A token in compact form that is not verified yet: nothing in it may be trusted. */
export interface UnverifiedJwt {
  readonly algorithm: string;
  /** The id of the key; empty when the token names none. */
  readonly keyId: string;
  /** Whether the header demands an extension that a reader must understand (`crit`). No extension is known here. */
  readonly isCritical: boolean;
  readonly claims: JsonObject;
  readonly signedText: string;
  readonly signature: Uint8Array;
}

const BASE64URL = /^[A-Za-z0-9_-]*$/;

/** Reports whether a text has the three parts of a token; most texts of another form do not. */
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

/** Signs claims. Their names are written in the order of bytes, as by Go. */
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
