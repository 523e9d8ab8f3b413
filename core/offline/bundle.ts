/**
 * Bundles of requests, and of the answers to them, that travel without a network. A bundle is a header and any number of
 * items, each a part of the armor (`core/lib/armor.ts`). The first part has the header with the signatures, and the hash of
 * each item, so that nothing can be changed, added, removed or moved afterwards.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type ArmorPart, type ArmorReading, encodeArmor, readArmor } from "../lib/armor.ts";
import { decodeBase64, encodeBase64 } from "../lib/base64.ts";
import { isRecord } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { PublicKeyFacts } from "../pki/public_key.ts";
import { signText, verifyText } from "../pki/signed_text.ts";
import type { CaKey } from "../ports.ts";

/** The contents of a bundle: requests for a CA, or a CA's answers. */
export type BundleKind = "requests" | "answers";

/** A header with its signatures, which can be verified without the items. */
export interface SignedHeader {
  /** JSON; the signatures are over this text, to the byte. */
  readonly text: string;
  /** Base64, one for each key that signed. */
  readonly signatures: readonly string[];
}

/** One item: a value of JSON, and the name by which faults report it. */
export interface BundleItem {
  readonly name: string;
  readonly value: unknown;
}

/** A bundle whose items are those that were signed. Whose signatures they are is not checked yet. */
export interface OpenBundle {
  readonly signed: SignedHeader;
  readonly header: Readonly<Record<string, unknown>>;
  readonly items: readonly BundleItem[];
}

/** The largest number of items of a bundle. */
export const MAX_BUNDLE_ITEMS = 10_000;

const LABELS: Readonly<Record<BundleKind, string>> = {
  requests: "TLSBOOT REQUESTS",
  answers: "TLSBOOT ANSWERS",
};
const NAME = "Name";

/** Signs a header and items with every key, and returns them as parts of an armor. Rejects as the keys do. */
export async function sealBundle(
  kind: BundleKind,
  header: Readonly<Record<string, unknown>>,
  items: readonly BundleItem[],
  keys: readonly CaKey[],
): Promise<readonly ArmorPart[]> {
  const parts = items.map(({ name, value }) => ({ headers: { [NAME]: name }, bytes: encodeJson(value) }));
  const contents = parts.map(({ headers, bytes }) => [headers[NAME], hashBytes(bytes)]);
  const text = JSON.stringify({ ...header, contents: hashBytes(encodeJson(contents)) });
  const signatures: string[] = [];
  for (const key of keys) {
    signatures.push(encodeBase64(await signText(`bundle of ${kind}`, key, text)));
  }
  return [{ headers: {}, bytes: encodeJson({ signed: { text, signatures }, contents }) }, ...parts];
}

/** Encodes the parts of a bundle as text. */
export function encodeBundle(kind: BundleKind, parts: readonly ArmorPart[]): string {
  return encodeArmor(LABELS[kind], parts);
}

/** Finds out which bundle a text holds; undefined when it holds none. */
export function findBundleKind(text: string): BundleKind | undefined {
  const kinds = Object.keys(LABELS) as BundleKind[];
  return kinds.find((kind) => text.includes(`-----BEGIN ${LABELS[kind]}-----`));
}

/** Reads the parts of a bundle from a text that is known to be whole. */
export function readBundleParts(kind: BundleKind, text: string): readonly ArmorPart[] {
  return readArmor(text, LABELS[kind]).parts.map(({ headers, bytes }) => ({ headers, bytes }));
}

/** Reads a bundle from text. The errors name what is missing or altered, one sentence without a period each. */
export function readBundle(kind: BundleKind, text: string): Result<OpenBundle, readonly string[]> {
  const reading = readArmor(text, LABELS[kind]);
  return reading.faults.length > 0 ? err(describeFaults(reading)) : openBundle(reading.parts);
}

/** Opens the parts of a bundle, and checks that the items are those of the signed header. */
export function openBundle(parts: readonly ArmorPart[]): Result<OpenBundle, readonly string[]> {
  const [first, ...rest] = parts;
  const front = first === undefined ? undefined : readFront(first);
  if (front === undefined) return err(["its first part is not the list of a bundle"]);
  const { signed, header, contents } = front;
  if (header["contents"] !== hashBytes(encodeJson(contents))) {
    return err(["the list of what it holds was altered after it was signed"]);
  }
  const items: BundleItem[] = [];
  const faults: string[] = [];
  for (const [at, [name, hash]] of contents.entries()) {
    const value = rest[at] === undefined ? undefined : parseJson(rest[at].bytes);
    if (value === undefined || hashBytes(rest[at]!.bytes) !== hash || rest[at]!.headers[NAME] !== name) {
      faults.push(`"${name}" was altered after it was signed`);
    } else items.push({ name, value });
  }
  if (rest.length !== contents.length) faults.push("it holds more than what was signed");
  return faults.length > 0 ? err(faults) : ok({ signed, header, items });
}

/** Reports whether one of the signatures of a header is that of a key. */
export function isSignedBy(kind: BundleKind, { text, signatures }: SignedHeader, key: PublicKeyFacts): boolean {
  return signatures.some((signature) => {
    const bytes = decodeBase64(signature);
    return bytes !== undefined && verifyText(`bundle of ${kind}`, key, text, bytes);
  });
}

/** Parses the text of a signed header; undefined when it is not an object. */
export function parseHeader({ text }: SignedHeader): Readonly<Record<string, unknown>> | undefined {
  const header = parseJson(Buffer.from(text));
  return isRecord(header) ? header : undefined;
}

/** Reads a signed header from JSON; undefined for any other value. */
export function findSignedHeader(value: unknown): SignedHeader | undefined {
  if (!isRecord(value)) return undefined;
  const { text, signatures } = value;
  if (typeof text !== "string" || !Array.isArray(signatures)) return undefined;
  if (signatures.length > MAX_SIGNATURES || !signatures.every((one) => typeof one === "string")) return undefined;
  return { text, signatures };
}

/** There is one signature for each CA of a split installation, and one more would have no CA. */
const MAX_SIGNATURES = 16;

interface Front extends Pick<OpenBundle, "signed" | "header"> {
  /** The name and the hash of each item. */
  readonly contents: readonly (readonly [name: string, hash: string])[];
}

function readFront({ bytes }: ArmorPart): Front | undefined {
  const value = parseJson(bytes);
  if (!isRecord(value) || !Array.isArray(value["contents"])) return undefined;
  const signed = findSignedHeader(value["signed"]);
  const header = signed === undefined ? undefined : parseHeader(signed);
  if (signed === undefined || header === undefined || value["contents"].length > MAX_BUNDLE_ITEMS) return undefined;
  const contents: (readonly [string, string])[] = [];
  for (const entry of value["contents"] as readonly unknown[]) {
    const [name, hash] = Array.isArray(entry) ? entry as readonly unknown[] : [];
    if (typeof name !== "string" || typeof hash !== "string") return undefined;
    contents.push([name, hash]);
  }
  return { signed, header, contents };
}

/** Names the item of each missing or altered part, by the list in the first part or by its own header. */
function describeFaults({ parts, faults }: ArmorReading): readonly string[] {
  const [first] = parts;
  const contents = first?.number === 1 ? readFront(first)?.contents : undefined;
  return faults.map(({ part, headers, message }) => {
    const name = (part === undefined ? undefined : contents?.[part - 2]?.[0]) ?? headers[NAME];
    return name === undefined ? message : `${message}: "${name}"`;
  });
}

function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}

function hashBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}
