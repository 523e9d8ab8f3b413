/** The name of a CSR that whoever asks again for the same thing finds again. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { trimChars } from "../lib/trim.ts";

/** What makes two requests the same. */
export interface RequestNameParts {
  /** What the name begins with, such as the common name; anything. */
  readonly title: string;
  /** The signed part of the PKCS#10 request: key, subject and names. */
  readonly signedDer: Uint8Array;
  readonly signerName: string;
  /** In the order of `spec.usages`. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
  /** Fingerprint of the certificate that is to be replaced: a renewal is not the request before it. */
  readonly replaces?: string;
}

const MAX_TITLE_LENGTH = 40;
/** 80 bits: enough that no two requests meet, short enough to be read out. */
const DIGEST_LENGTH = 20;

/** Part of the title, a dash, and hexadecimal digits of a SHA-256: `web-example-com-0f3c…`. */
export function createRequestName(parts: RequestNameParts): string {
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
