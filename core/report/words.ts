/** Formats numbers, durations, ages, lists, users and names for sentences about requests. */
import { formatHumanDuration } from "../lib/duration.ts";
import { goQuote } from "../lib/go_text.ts";
import { findTokenId } from "../token/token_secret.ts";
import { ANONYMOUS_USER, parseNodeUser, SERVICE_ACCOUNT_PREFIX } from "../kube/user.ts";

const NUMBERS = [
  "no",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
];

/** The units, the longest first. A year has no leap day, as in the lifetimes of certificates. */
const UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ["year", 31_536_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** Formats a number and a noun: `one day`, `90 days`. */
export function formatCount(count: number, singular: string): string {
  return `${NUMBERS[count] ?? count} ${singular}${count === 1 ? "" : "s"}`;
}

/** Formats an exact duration in at most two units: `one year`, `90 days`, `about two days and three hours`. */
export function formatLifetime(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count === 0) continue;
    // People say 36 hours and 90 minutes rather than one day and twelve hours.
    if (parts.length === 0 && count === 1 && rest > size && rest < 2 * size && rest % nextSize(size) === 0) continue;
    parts.push(formatCount(count, name));
    rest -= count * size;
    if (parts.length === 2) break;
  }
  if (parts.length === 0) return formatCount(0, "second");
  return `${rest === 0 ? "" : "about "}${parts.join(" and ")}`;
}

function nextSize(size: number): number {
  return UNITS.find(([, other]) => other < size)?.[1] ?? 1;
}

/** Formats an age as in the AGE column: `27s ago`. */
export function formatTimeAgo(ms: number): string {
  return `${formatHumanDuration(ms)} ago`;
}

/** Joins a list as in a sentence: `a`, `a and b`, `a, b, c and four more`. */
export function joinWords(words: readonly string[], max: number = words.length): string {
  const shown = words.length > max
    ? [...words.slice(0, max), `${NUMBERS[words.length - max] ?? words.length - max} more`]
    : words;
  const last = shown.at(-1) ?? "";
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(", ")} and ${last}`;
}

const PLAIN = /^[\w.:@*/%+-]{1,253}$/;

/** The maximum length of a name within a sentence; the other facts have the whole name. */
const MAX_QUOTED_LENGTH = 100;

/** Returns a name for a sentence, quoted and escaped if it could be mistaken for words of the sentence. */
export function quoteUnlessPlain(name: string): string {
  if (PLAIN.test(name)) return name;
  const isLong = name.length > MAX_QUOTED_LENGTH;
  return goQuote(isLong ? `${name.slice(0, MAX_QUOTED_LENGTH).toWellFormed()}…` : name);
}

/** Formats a fingerprint in pairs of hexadecimal digits, as other tools do. */
export function formatFingerprint(hex: string): string {
  return (hex.match(/../g) ?? []).join(":").toUpperCase();
}

/** The identity that the name of a user expresses. */
export type Identity =
  | { readonly kind: "token"; readonly id: string }
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "account"; readonly namespace: string; readonly name: string }
  | { readonly kind: "user"; readonly name: string }
  | { readonly kind: "anonymous" }
  /** The name is empty, as in a request that was never sent to an API. */
  | { readonly kind: "unknown" };

/** Parses the name of a user, which may be any text. */
export function parseIdentity(username: string): Identity {
  if (username === "") return { kind: "unknown" };
  if (username === ANONYMOUS_USER) return { kind: "anonymous" };
  const id = findTokenId(username);
  if (id !== undefined) return { kind: "token", id };
  const node = parseNodeUser(username);
  if (node !== undefined) return { kind: "node", name: node };
  const [namespace = "", name = "", ...rest] = username.startsWith(SERVICE_ACCOUNT_PREFIX)
    ? username.slice(SERVICE_ACCOUNT_PREFIX.length).split(":")
    : [];
  if (namespace !== "" && name !== "" && rest.length === 0) return { kind: "account", namespace, name };
  return { kind: "user", name: username };
}

/** Formats an identity for a sentence: `node n7`, `user jane`, `service account kube-system/signer`. */
export function formatIdentity(identity: Identity): string {
  switch (identity.kind) {
    case "token":
      return `the holder of token ${identity.id}`;
    case "node":
      return `node ${quoteUnlessPlain(identity.name)}`;
    case "account":
      return `service account ${quoteUnlessPlain(`${identity.namespace}/${identity.name}`)}`;
    case "user":
      return `user ${quoteUnlessPlain(identity.name)}`;
    case "anonymous":
      return "an anonymous client";
    case "unknown":
      return "an unknown requester";
  }
}

/** Formats an identity for a column of a list, where a user has no prefix. */
export function formatShortIdentity(identity: Identity): string {
  switch (identity.kind) {
    case "token":
      return `token ${identity.id}`;
    case "node":
      return `node ${identity.name}`;
    case "account":
      return `account ${identity.namespace}/${identity.name}`;
    case "user":
      return identity.name;
    case "anonymous":
      return "anonymous";
    case "unknown":
      return "unknown";
  }
}
