/**
 * Parses the `Impersonate-*` headers (`apiserver/pkg/endpoints/filters/impersonation/constrained_impersonation.go`).
 */
import { goQuote } from "../../core/lib/quote.ts";
import { badRequest } from "../../core/kube/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";

const EXTRA_PREFIX = "impersonate-extra-";

/**
 * Parses the user in the headers, without defaults and without authorization. Undefined when there is no such header.
 * Throws StatusError 400 when a group, uid or extra comes without a user.
 *
 * @param headers name and value of every header, with every repetition
 */
export function parseImpersonation(headers: readonly (readonly [string, string])[]): UserInfo | undefined {
  const lower = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const findValues = (name: string) => lower.filter(([key]) => key === name).map(([, value]) => value);
  const username = findValues("impersonate-user")[0] ?? "";
  const uid = findValues("impersonate-uid")[0] ?? "";
  const groups = findValues("impersonate-group");
  // A Map, because a key may be `__proto__`.
  const extra = new Map<string, string[]>();
  for (const [name, value] of lower) {
    if (!name.startsWith(EXTRA_PREFIX)) continue;
    const key = unescapeKey(name.slice(EXTRA_PREFIX.length));
    extra.set(key, [...extra.get(key) ?? [], value]);
  }
  // Go's JSON sorts the keys, and the extra is printed and stored in this order.
  const sorted = [...extra].sort(([a], [b]) => (a < b ? -1 : 1));
  const wanted: UserInfo = { username, uid, groups, extra: Object.fromEntries(sorted) };
  if (username !== "") return wanted;
  if (uid === "" && groups.length === 0 && extra.size === 0) return undefined;
  throw badRequest(`requested ${printUser(wanted)} without impersonating a user name`);
}

/** Decodes percent escapes; a key with a malformed escape stays as it is. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** Prints the user like Go's `%#v`. */
function printUser({ username, uid, groups, extra }: UserInfo): string {
  const keys = Object.keys(extra);
  const groupText = groups.length === 0 ? "[]string(nil)" : printStrings(groups);
  const entries = keys.map((key) => `${goQuote(key)}:${printStrings(extra[key] ?? [])}`);
  const extraText = keys.length === 0 ? "map[string][]string(nil)" : `map[string][]string{${entries.join(", ")}}`;
  return `&user.DefaultInfo{Name:${goQuote(username)}, UID:${goQuote(uid)}, Groups:${groupText}, Extra:${extraText}}`;
}

function printStrings(values: readonly string[]): string {
  return `[]string{${values.map(goQuote).join(", ")}}`;
}
