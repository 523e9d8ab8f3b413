/**
 * Shares of a passphrase on paper. Any `threshold` of them restore the passphrase, and fewer reveal only its approximate
 * length (Shamir's secret sharing over GF(256), with the package `shamir-secret-sharing`).
 *
 * A share is written in groups of eight characters of Crockford's base32 alphabet. The last character of each group is a
 * checksum of the others, so that a mistyped group is found at once. Four bytes of SHA-256 are the checksum of the share.
 */
import { createHash } from "node:crypto";
import { combine, split } from "shamir-secret-sharing";
import { err, ok, type Result } from "../../core/lib/result.ts";
import type { Random } from "../../core/ports.ts";
import { type Bytes, equalBytes } from "../../core/pki/asn1/der.ts";
import { CROCKFORD, decodeBase32, decodeHex, encodeBase32, encodeHex } from "../../core/lib/encodings.ts";

export interface SecretShare {
  /** Six hexadecimal digits that are the same in all shares of a set. */
  readonly setId: string;
  /** The number of the share in its set, from 1. */
  readonly number: number;
  /** The number of shares in the set. */
  readonly count: number;
  /** The number of shares that restore the passphrase. */
  readonly threshold: number;
  /** The value of a polynomial for each byte of the passphrase, and then the coordinate of all these values. */
  readonly points: Bytes;
}

/** A share, and a name for it in messages, such as the path of its file. */
export interface NamedShare {
  readonly name: string;
  readonly share: SecretShare;
}

/** The reason why shares do not restore a passphrase. */
export interface ShareFault {
  readonly kind: "too few" | "mixed" | "repeated" | "damaged";
  readonly message: string;
}

const VERSION = 1;
/** Eight groups of seven characters are exactly 35 bytes, so a share consists of whole groups. */
const BLOCK_BYTES = 35;
const GROUPS_OF_BLOCK = 8;
const GROUP_DATA = 7;
const HEADER_BYTES = 6;
const CHECKSUM_BYTES = 4;
const MAX_BLOCKS = 16;
const OVERHEAD_BYTES = HEADER_BYTES + 1 + CHECKSUM_BYTES;
const PASSPHRASE_CHARACTERS = 24;

/** Creates a passphrase of 120 random bits in the alphabet of shares. It fits into the shortest share. */
export function createRandomPassphrase(random: Random): string {
  return [...random.bytes(PASSPHRASE_CHARACTERS)].map((byte) => CROCKFORD[byte & 31]).join("");
}

/** The number of shares, and how many of them restore the passphrase. */
export interface ShareCounts {
  readonly threshold: number;
  readonly count: number;
}

/**
 * Splits a passphrase into shares, unless it is too long. `threshold` and `count` are from 2 to 16, because a
 * share has four bits for each.
 */
export async function splitPassphrase(
  passphrase: string,
  { threshold, count }: ShareCounts,
  random: Random,
): Promise<Result<readonly SecretShare[], string>> {
  const text = new TextEncoder().encode(passphrase);
  const blocks = Math.ceil((text.length + OVERHEAD_BYTES) / BLOCK_BYTES);
  const longest = MAX_BLOCKS * BLOCK_BYTES - OVERHEAD_BYTES;
  if (blocks > MAX_BLOCKS) return err(`it has ${text.length} bytes, and shares hold ${longest} at most`);
  // Zero bytes, which a passphrase cannot contain, fill the last block.
  const padded = new Uint8Array(blocks * BLOCK_BYTES - OVERHEAD_BYTES);
  padded.set(text);
  const setId = encodeHex(random.bytes(3)).toUpperCase();
  const points = await split(padded, count, threshold);
  padded.fill(0);
  return ok(points.map((one, index) => ({ setId, number: index + 1, count, threshold, points: new Uint8Array(one) })));
}

/** Combines shares into the passphrase. The error says which shares do not belong together, or how many are missing. */
export async function combineShares(shares: readonly NamedShare[]): Promise<Result<string, ShareFault>> {
  const fault = findShareFault(shares);
  if (fault !== undefined) return err(fault);
  const padded = await combine(shares.map(({ share }) => share.points));
  const end = padded.indexOf(0);
  const text = end === -1 ? padded : padded.subarray(0, end);
  try {
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch {
    return err({ kind: "damaged", message: "the result is not a text: the shares are of different passphrases" });
  }
}

/** Finds why shares cannot be combined: they are from several sets, one is given twice, or there are too few. */
export function findShareFault(shares: readonly NamedShare[]): ShareFault | undefined {
  const [first, ...others] = shares;
  if (first === undefined) return { kind: "too few", message: "there is no share" };
  const { setId, threshold, count, points } = first.share;
  const foreign = others.find(({ share }) => !isOfSameSet(first.share, share));
  if (foreign !== undefined) {
    return {
      kind: "mixed",
      message: `${first.name} is ${describeShare(first.share)}, and ${foreign.name} is ${describeShare(foreign.share)}`,
    };
  }
  for (const [index, { name, share }] of shares.entries()) {
    const same = shares.slice(0, index).find((other) => other.share.number === share.number);
    if (same === undefined) continue;
    return { kind: "repeated", message: `${same.name} and ${name} are the same share, number ${share.number}` };
  }
  if (shares.length >= threshold || points.length === 0) return undefined;
  const numbers = shares.map(({ share }) => share.number).join(", ");
  return {
    kind: "too few",
    message: `${threshold} of the ${count} shares of the set ${setId} are needed, and ${shares.length} ` +
      `${shares.length === 1 ? "is" : "are"} given: number ${numbers}`,
  };
}

function isOfSameSet(a: SecretShare, b: SecretShare): boolean {
  return a.setId === b.setId && a.threshold === b.threshold && a.count === b.count &&
    a.points.length === b.points.length;
}

/** Describes a share without its secret: `share 2 of 3 of the set 4F2A9C`. */
export function describeShare({ number, count, setId }: SecretShare): string {
  return `share ${number} of ${count} of the set ${setId}`;
}

/** Formats a share as groups of eight characters. */
export function formatShareGroups({ setId, number, count, threshold, points }: SecretShare): readonly string[] {
  const bytes = new Uint8Array(HEADER_BYTES + points.length + CHECKSUM_BYTES);
  const blocks = bytes.length / BLOCK_BYTES;
  bytes[0] = (VERSION << 4) | (blocks - 1);
  bytes.set(decodeHex(setId), 1);
  bytes[4] = ((number - 1) << 4) | (threshold - 1);
  bytes[5] = (count - 1) << 4;
  bytes.set(points, HEADER_BYTES);
  bytes.set(computeChecksum(bytes), bytes.length - CHECKSUM_BYTES);
  const characters = encodeBase32(bytes, CROCKFORD);
  return Array.from({ length: blocks * GROUPS_OF_BLOCK }, (_, index) => {
    const data = characters.slice(index * GROUP_DATA, (index + 1) * GROUP_DATA);
    return data + computeCheckCharacter(data, index);
  });
}

export const BEGIN_MARK = "-----BEGIN TLSBOOT SHARE-----";
export const END_MARK = "-----END TLSBOOT SHARE-----";

/**
 * Splits typed text, or the text of a page, into the groups of a share. Of a page, only the part between the marks is read.
 * Numbers of groups and hyphens are ignored; `O` is read as `0`, and `I` and `L` as `1`.
 */
export function splitIntoGroups(text: string): readonly string[] {
  const begin = text.indexOf(BEGIN_MARK);
  const end = text.indexOf(END_MARK, begin);
  const marked = begin < 0 || end < 0 ? text : text.slice(begin + BEGIN_MARK.length, end);
  return marked.split(/\s+/)
    .filter((token) => token !== "" && !/^\d{1,3}[.:)]?$/.test(token))
    .map((token) => token.replaceAll("-", "").toUpperCase().replaceAll("O", "0").replace(/[IL]/g, "1"))
    .filter((token) => token !== "");
}

/** Reports whether a text is probably a share and not a passphrase: a page, or groups most of which are correct. */
export function looksLikeShare(text: string): boolean {
  if (text.includes(BEGIN_MARK)) return true;
  const groups = splitIntoGroups(text);
  const correct = groups.filter((group, index) => findGroupFault(group, index) === undefined);
  return groups.length >= GROUPS_OF_BLOCK && correct.length * 2 >= groups.length;
}

/** Finds why a group of a share is mistyped. `index` counts from 0. */
export function findGroupFault(group: string, index: number): string | undefined {
  // The character is not shown, because the text may be a passphrase instead of a share.
  if ([...group].some((character) => !CROCKFORD.includes(character))) {
    return "it has a character that does not occur in a share";
  }
  const want = GROUP_DATA + 1;
  if (group.length !== want) return `it has ${group.length} character${group.length === 1 ? "" : "s"}, want ${want}`;
  if (computeCheckCharacter(group.slice(0, GROUP_DATA), index) === group.at(-1)) return undefined;
  return "it is mistyped, or not in its place";
}

/** Reads the number of groups of a share from its first group, which must have no fault. */
export function countGroups(first: string): Result<number, string> {
  const value = CROCKFORD.indexOf(first.charAt(0)) * 32 + CROCKFORD.indexOf(first.charAt(1));
  const version = value >> 6;
  if (version !== VERSION) {
    return err(`it is a share of version ${version}, and this program reads version ${VERSION}`);
  }
  return ok((((value >> 2) & 15) + 1) * GROUPS_OF_BLOCK);
}

/** Parses a share from typed text or from its page. The error says which group is mistyped. */
export function parseShare(text: string): Result<SecretShare, string> {
  const groups = splitIntoGroups(text);
  for (const [index, group] of groups.entries()) {
    const fault = findGroupFault(group, index);
    if (fault !== undefined) return err(`group ${index + 1}: ${fault}`);
  }
  const [first] = groups;
  if (first === undefined) return err("there is no share in it");
  const wanted = countGroups(first);
  if (!wanted.ok) return wanted;
  if (groups.length !== wanted.value) return err(`it has ${groups.length} groups, want ${wanted.value}`);
  const bytes = decodeBase32(groups.map((group) => group.slice(0, GROUP_DATA)).join(""), CROCKFORD);
  const body = bytes?.subarray(0, -CHECKSUM_BYTES);
  if (
    bytes === undefined || body === undefined || !equalBytes(computeChecksum(bytes), bytes.slice(body.length))
  ) {
    return err("its checksum does not fit: a group is mistyped");
  }
  const [, , , , position = 0, total = 0] = bytes;
  const share = {
    setId: encodeHex(bytes.subarray(1, 4)).toUpperCase(),
    number: (position >> 4) + 1,
    threshold: (position & 15) + 1,
    count: (total >> 4) + 1,
    points: new Uint8Array(body.subarray(HEADER_BYTES)),
  };
  const isPossible = share.threshold >= 2 && share.threshold <= share.count && share.number <= share.count &&
    (total & 15) === 0 && share.points.at(-1) !== 0;
  return isPossible ? ok(share) : err("it is not a share that this program makes");
}

/** Computes the checksum over everything before it. */
function computeChecksum(bytes: Uint8Array): Bytes {
  const body = bytes.subarray(0, bytes.length - CHECKSUM_BYTES);
  return new Uint8Array(createHash("sha256").update(body).digest().subarray(0, CHECKSUM_BYTES));
}

/** The index of a group is part of its checksum, so that groups in the wrong order are detected. */
function computeCheckCharacter(data: string, index: number): string {
  const [byte = 0] = createHash("sha256").update(`${index + 1} ${data}`).digest();
  return CROCKFORD.charAt(byte & 31);
}
