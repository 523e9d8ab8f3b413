/**
 * Bootstrap tokens: `<id>.<secret>` (cluster-bootstrap `token/util`, `token/api`). The id is public, the secret is not. The
 * limits that users write next to a token are parsed here too.
 */
import { Secret } from "../lib/brand.ts";
import { formatCidr, parseCidr } from "../lib/ip_address.ts";
import type { Random } from "../ports.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** A well-formed bootstrap token: its id and its secret. */
export interface BootstrapToken {
  /** Six characters; names the Secret and the user. */
  readonly id: string;
  /** The secret part of sixteen characters. */
  readonly secret: Secret<string>;
}

/** The largest number of keys of one token. Their hashes must fit into the 256 KiB that annotations may have. */
const MAX_TOKEN_USES = 1_000;

/** Matches the id of a token. */
export const TOKEN_ID = /^[a-z0-9]{6}$/;
const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const ID_LENGTH = 6;
const SECRET_LENGTH = 16;

/** Parses a token. The error does not repeat the text: it may be a secret with a typing mistake. */
export function parseBootstrapToken(text: string): Result<BootstrapToken, string> {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  if (id === undefined || secret === undefined || text.endsWith("\n")) {
    return err(
      `a bootstrap token is ${ID_LENGTH} characters, a dot and ${SECRET_LENGTH} characters, all of them a-z or 0-9`,
    );
  }
  return ok({ id, secret: new Secret(secret) });
}

/** Formats the token as a client sends it, which reveals the secret. */
export function formatBootstrapToken(token: BootstrapToken): string {
  return `${token.id}.${token.secret.reveal()}`;
}

export function parseTokenUses(text: string): Result<number, string> {
  const uses = /^[1-9]\d{0,3}$/.test(text) ? Number(text) : 0;
  return uses >= 1 && uses <= MAX_TOKEN_USES ? ok(uses) : err(`a number from 1 to ${MAX_TOKEN_USES}`);
}

/** Parses a network, such as `10.0.0.0/24` or one address, and returns it in canonical form. */
export function parseTokenNetwork(text: string): Result<string, string> {
  const range = parseCidr(text);
  return range === undefined ? err("want a network such as 10.0.0.0/24 or 2001:db8::/64") : ok(formatCidr(range));
}

/** Generates a new random token. */
export function generateBootstrapToken(random: Pick<Random, "bytes">): BootstrapToken {
  return { id: randomText(ID_LENGTH, random), secret: new Secret(randomText(SECRET_LENGTH, random)) };
}

function randomText(length: number, random: Pick<Random, "bytes">): string {
  let text = "";
  while (text.length < length) {
    for (const byte of random.bytes(length)) {
      // 252 is the largest multiple of 36 in a byte; larger values would make some characters more likely.
      if (byte < 252 && text.length < length) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}
