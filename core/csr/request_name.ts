/** Names a CSR by its contents, so that a client that repeats the same request finds its CSR again. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { trimChars } from "../lib/trim.ts";

/** The parts that determine whether two requests are the same. */
export interface RequestNameParts {
  /** Any text for the beginning of the name, such as the common name. */
  readonly title: string;
  /** The signed part of the PKCS#10 request: key, subject and names. */
  readonly signedDer: Uint8Array;
  readonly signerName: string;
  /** In the order of `spec.usages`. */
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
  /** The fingerprint of the replaced certificate, so that a renewal gets another name than the request before it. */
  readonly replaces?: string;
}

const MAX_TITLE_LENGTH = 40;
/** The digest has 80 bits: enough to avoid collisions, and short enough to read out. */
const DIGEST_LENGTH = 20;

/** Joins a part of the title and hexadecimal digits of a SHA-256 with a dash: `web-example-com-0f3c…`. */
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
