/**
 * Bootstrap tokens, `<id>.<secret>` with a public id (cluster-bootstrap `token/util`, `token/api`), and the Secret of a
 * token: its encoding, the user that it authenticates, and its deletion
 * (`plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go`, cluster-bootstrap `util/secrets`,
 * `pkg/controller/bootstrap`).
 */
import { equalsInConstantTime, Secret } from "../lib/brand.ts";
import { BOOTSTRAP_USER_PREFIX, BOOTSTRAPPERS_GROUP } from "../kube/user.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { formatTime, getName, SYSTEM_NAMESPACE } from "../kube/meta.ts";
import { goQuote } from "../lib/go_text.ts";
import { decodeBase64, encodeBase64 } from "../lib/encodings.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Random } from "../ports.ts";
import { GROUP_PATTERN, isBootstrapGroup } from "./token_options.ts";

/** The `type` of Secrets that hold bootstrap tokens. */
export const BOOTSTRAP_TOKEN_TYPE = "bootstrap.kubernetes.io/token";

const NAME_PREFIX = "bootstrap-token-";
const USAGE_PREFIX = "usage-bootstrap-";
const TOKEN_USER = /^system:bootstrap:([a-z0-9]{6})$/;

/** The properties of a new token. */
export interface TokenSecretOptions {
  readonly token: BootstrapToken;
  /** When it expires; absent for a token that never expires. */
  readonly expiration?: Date | undefined;
  /** The permitted usages: `signing`, `authentication`. */
  readonly usages: readonly string[];
  /** Extra groups; each must pass `isBootstrapGroup`. */
  readonly groups: readonly string[];
  /** The description; empty when there is none. */
  readonly description: string;
}

/** The user that a token authenticates. */
interface BootstrapIdentity {
  readonly username: string;
  /** Sorted and without duplicates; the authenticator adds `system:authenticated`. */
  readonly groups: readonly string[];
}

/** The facts about a token that `token list` shows. */
export interface TokenFacts {
  readonly id: string;
  /** Undefined when the Secret holds no well-formed token. */
  readonly token: BootstrapToken | undefined;
  readonly expiration:
    | { readonly kind: "never" }
    | { readonly kind: "at"; readonly at: Date }
    /** A time that cannot be read, which counts as expired. */
    | { readonly kind: "unreadable"; readonly text: string };
  readonly usages: readonly string[];
  readonly groups: readonly string[];
  readonly description: string;
}

export function toTokenSecretName(id: string): string {
  return `${NAME_PREFIX}${id}`;
}

/** Finds the token id in the user name of a requester, `system:bootstrap:<id>`; undefined for any other user. */
export function findTokenId(username: string): string | undefined {
  return TOKEN_USER.exec(username)?.[1];
}

/**
 * Builds the Secret that kubeadm would create for a token. The Secret contains the token in plain text, as upstream.
 */
export function createTokenSecret(options: TokenSecretOptions): SecretObject {
  const { token, expiration, usages, groups, description } = options;
  const data: Record<string, string> = { "token-id": token.id, "token-secret": token.secret.reveal() };
  if (description !== "") data["description"] = description;
  if (expiration !== undefined) data["expiration"] = formatTime(expiration);
  for (const usage of usages) data[`${USAGE_PREFIX}${usage}`] = "true";
  if (groups.length > 0) data["auth-extra-groups"] = groups.join(",");
  const entries = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    metadata: { name: toTokenSecretName(token.id), namespace: SYSTEM_NAMESPACE },
    data: Object.fromEntries(entries.map(([key, value]) => [key, encodeBase64(value)])),
    type: BOOTSTRAP_TOKEN_TYPE,
  };
}

/**
 * Decides whether a token authenticates its bearer. The order of the checks is upstream's; the error is the text for the
 * log and never contains a secret.
 *
 * @param secret the Secret that is named after the token's id, undefined when there is none
 */
export function decideTokenSecret(
  secret: SecretObject | undefined,
  token: BootstrapToken,
  now: Date,
): Result<BootstrapIdentity, string> {
  if (secret === undefined) {
    return err(`No secret of name ${toTokenSecretName(token.id)} to match bootstrap bearer token`);
  }
  const refuse = (why: string) => err(`Bootstrap secret ${formatPath(secret)} matching bearer token ${why}`);
  if (secret.metadata.deletionTimestamp !== undefined) return refuse("is deleted and awaiting removal");
  if (secret.type !== BOOTSTRAP_TOKEN_TYPE || secret.data === undefined) {
    return refuse(`has invalid type, expected ${BOOTSTRAP_TOKEN_TYPE}.`);
  }
  if (!equalsInConstantTime(decodeSecretValue(secret, "token-secret"), token.secret.reveal())) {
    return refuse("has invalid value for key token-secret.");
  }
  if (decodeSecretValue(secret, "token-id") !== token.id) return refuse("has invalid value for key token-id.");
  const expired = findExpiry(secret, now);
  if (expired !== undefined) return err(expired);
  if (decodeSecretValue(secret, "usage-bootstrap-authentication") !== "true") {
    return refuse("not marked usage-bootstrap-authentication=true.");
  }
  const groups = getGroups(secret);
  if (!groups.ok) return refuse(`has invalid value for key auth-extra-groups: ${groups.error}.`);
  return ok({ username: `${BOOTSTRAP_USER_PREFIX}${token.id}`, groups: groups.value });
}

/** Collects the facts about a token from its Secret; undefined when it is not the Secret of a bootstrap token. */
export function listTokenFacts(secret: SecretObject): TokenFacts | undefined {
  const id = decodeSecretValue(secret, "token-id");
  if (secret.type !== BOOTSTRAP_TOKEN_TYPE || id === "" || getName(secret) !== toTokenSecretName(id)) return undefined;
  const token = parseBootstrapToken(`${id}.${decodeSecretValue(secret, "token-secret")}`);
  const usages = Object.keys(secret.data ?? {})
    .filter((key) => key.startsWith(USAGE_PREFIX) && decodeSecretValue(secret, key) === "true")
    .map((key) => key.slice(USAGE_PREFIX.length))
    .sort();
  const groups = decodeSecretValue(secret, "auth-extra-groups");
  return {
    id,
    token: token.ok ? token.value : undefined,
    expiration: getExpiration(secret),
    usages,
    groups: groups === "" ? [] : groups.split(","),
    description: decodeSecretValue(secret, "description"),
  };
}

/** Decoded values by Secret: a token is checked with every request, and its Secret rarely changes. */
const texts = new WeakMap<SecretObject, Map<string, string>>();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Decodes the text of one key of a Secret; empty when the key is absent. */
export function decodeSecretValue(secret: SecretObject, key: string): string {
  let known = texts.get(secret);
  if (known === undefined) texts.set(secret, known = new Map());
  let text = known.get(key);
  if (text === undefined) {
    const bytes = decodeBase64(secret.data?.[key] ?? "");
    known.set(key, text = bytes === undefined ? "" : decoder.decode(bytes));
  }
  return text;
}

const expirations = new WeakMap<SecretObject, TokenFacts["expiration"]>();

function getExpiration(secret: SecretObject): TokenFacts["expiration"] {
  let expiration = expirations.get(secret);
  if (expiration === undefined) expirations.set(secret, expiration = readExpiration(secret));
  return expiration;
}

function readExpiration(secret: SecretObject): TokenFacts["expiration"] {
  const text = decodeSecretValue(secret, "expiration");
  if (text === "") return { kind: "never" };
  const at = parseRfc3339(text);
  return at === undefined ? { kind: "unreadable", text } : { kind: "at", at };
}

/** Explains why a Secret has expired; undefined when it has not. */
function findExpiry(secret: SecretObject, now: Date): string | undefined {
  const expiration = getExpiration(secret);
  switch (expiration.kind) {
    case "never":
      return undefined;
    case "unreadable":
      return `Unparseable expiration time (${expiration.text}) in ${formatPath(secret)} Secret: not RFC 3339. ` +
        "Treating as expired.";
    case "at":
      if (expiration.at.getTime() > now.getTime()) return undefined;
      return `Expired bootstrap token in ${formatPath(secret)} Secret: ${decodeSecretValue(secret, "expiration")}`;
  }
}

const groupsBySecret = new WeakMap<SecretObject, Result<readonly string[], string>>();

function getGroups(secret: SecretObject): Result<readonly string[], string> {
  let groups = groupsBySecret.get(secret);
  if (groups === undefined) {
    groupsBySecret.set(secret, groups = parseGroups(decodeSecretValue(secret, "auth-extra-groups")));
  }
  return groups;
}

function parseGroups(text: string): Result<readonly string[], string> {
  if (text === "") return ok([BOOTSTRAPPERS_GROUP]);
  const groups = text.split(",");
  const bad = groups.find((group) => !isBootstrapGroup(group));
  if (bad !== undefined) return err(`bootstrap group ${goQuote(bad)} is invalid (must match ${GROUP_PATTERN})`);
  return ok([...new Set([BOOTSTRAPPERS_GROUP, ...groups])].sort());
}

function formatPath(secret: SecretObject): string {
  return `${secret.metadata.namespace ?? ""}/${getName(secret)}`;
}

/** The syntax of Go's `time.Parse(time.RFC3339, …)`; `Date.parse` accepts much more. */
const RFC3339 = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})([.,]\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Whether the Secret is kept, checked again later, or deleted now. */
type TokenCleaning =
  | { readonly kind: "keep" }
  | { readonly kind: "later"; readonly ms: number }
  | { readonly kind: "delete" };

/**
 * Decides whether to delete a Secret. Without an expiration it never expires; an unreadable expiration counts as
 * expired.
 */
export function decideTokenCleaning(secret: SecretObject, now: Date): TokenCleaning {
  if (secret.type !== BOOTSTRAP_TOKEN_TYPE || secret.metadata.namespace !== SYSTEM_NAMESPACE) {
    return { kind: "keep" };
  }
  if ((secret.data?.["expiration"] ?? "") === "") return { kind: "keep" };
  const expiration = getExpiration(secret);
  const ms = expiration.kind === "at" ? expiration.at.getTime() - now.getTime() : 0;
  return ms > 0 ? { kind: "later", ms } : { kind: "delete" };
}

/** Parses a time in RFC 3339; undefined when it is malformed or on a day that does not exist. */
export function parseRfc3339(text: string): Date | undefined {
  const [, day, time, fraction = "", zone] = RFC3339.exec(text) ?? [];
  if (day === undefined || time === undefined || zone === undefined) return undefined;
  const local = new Date(`${day}T${time}Z`);
  // `Date` turns 30 February into a day in March; Go refuses it.
  if (Number.isNaN(local.getTime()) || local.toISOString().slice(0, 10) !== day) return undefined;
  const milliseconds = Math.floor(Number(`0${fraction.replace(",", ".")}`) * 1000);
  const parsed = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(parsed) ? undefined : new Date(parsed + milliseconds);
}

/** A well-formed bootstrap token: its id and its secret. */
export interface BootstrapToken {
  /** Six characters that are part of the names of the Secret and the user. */
  readonly id: string;
  /** The secret part of sixteen characters. */
  readonly secret: Secret<string>;
}

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

/** Generates a new random token. */
export function generateBootstrapToken(random: Pick<Random, "bytes">): BootstrapToken {
  return { id: randomText(ID_LENGTH, random), secret: new Secret(randomText(SECRET_LENGTH, random)) };
}

function randomText(length: number, random: Pick<Random, "bytes">): string {
  let text = "";
  while (text.length < length) {
    for (const byte of random.bytes(length)) {
      // 252 is the largest multiple of 36 in a byte. Using larger values would make some characters more likely.
      if (byte < 252 && text.length < length) text += ALPHABET[byte % ALPHABET.length];
    }
  }
  return text;
}
