/** Detached JSON web signatures with a bootstrap token as the key (RFC 7515 appendix F; cluster-bootstrap `token/jws`). */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import type { Secret } from "../lib/brand.ts";
import { equalsInConstantTime } from "../lib/constant_time.ts";

/** Signs a text: the result is header and MAC with nothing between the dots. The key id is public. */
export function signDetached(content: string, keyId: string, key: Secret<string>): string {
  const header = encodeText(JSON.stringify({ alg: "HS256", kid: keyId }));
  const mac = createHmac("sha256", key.reveal()).update(`${header}.${encodeText(content)}`).digest("base64url");
  return `${header}..${mac}`;
}

/** Tells whether this key made the signature, header and key id included (`DetachedTokenIsValid`). */
export function isSignedDetached(signature: string, content: string, keyId: string, key: Secret<string>): boolean {
  return equalsInConstantTime(signature, signDetached(content, keyId, key));
}

function encodeText(text: string): string {
  return Buffer.from(text, "utf8").toString("base64url");
}
