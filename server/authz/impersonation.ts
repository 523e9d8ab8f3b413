/**
 * Impersonation (`apiserver/pkg/endpoints/filters/impersonation`): the real user needs the permission for every user,
 * group, uid and extra value in the headers. The constrained modes, which also check the impersonated request, are
 * tried before the classic verb `impersonate`. The mode `associated-node` is missing, because it is for the tokens of
 * pods, and no pods run without a kube-apiserver.
 */
import { parseNodeName } from "../../core/machine/node_name.ts";
import { getErrorMessage } from "../../core/errors.ts";
import {
  ANONYMOUS_USER,
  AUTHENTICATED_GROUP,
  listAccountGroups,
  MASTERS_GROUP,
  NODE_USER_PREFIX,
  NODES_GROUP,
  SERVICE_ACCOUNT_PREFIX,
  UNAUTHENTICATED_GROUP,
  type UserInfo,
} from "../../core/kube/user.ts";
import { dns1123LabelErrors, dns1123SubdomainErrors } from "../../core/kube/names.ts";
import { badRequest, type StatusError } from "../../core/kube/status/status.ts";
import type { Attributes, ResourceAttributes } from "../../core/rbac/attributes.ts";
import { type Authorizer, createDeniedError, joinErrors } from "./authorizer.ts";
import { formatFieldError, invalid } from "../../core/kube/status/field_error.ts";
import { goQuote } from "../../core/lib/go_text.ts";

/** The classic mode `impersonate` and the constrained modes. */
type Mode = "impersonate" | "arbitrary-node" | "serviceaccount" | "user-info";

/** The context of every permission check of one mode. */
interface Check {
  readonly authorizer: Pick<Authorizer, "authorize">;
  readonly requester: UserInfo;
  readonly mode: Mode;
}

/** With at least this many groups or extra values, a single check for all of them is tried first. */
const WILDCARD_CHECK_FROM = 4;
/** The largest number of user names whose last mode is cached (`impersonation/cache.go`). */
const MAX_CACHED_MODES = 10_000;
const AUTHENTICATION_GROUP = "authentication.k8s.io";

/**
 * Returns the impersonated user, or the real user when there is no `Impersonate-*` header. Throws StatusError 400 when the
 * headers name no user, and 403 with the message of the first mode that was tried.
 *
 * @param headers names and values, with every repetition of a header
 * @param attributes the request that is made as the impersonated user
 * @param onConstraint called with the verb of the constrained mode, if such a mode allowed the impersonation
 */
export type Impersonation = (
  headers: readonly (readonly [string, string])[],
  requester: UserInfo,
  attributes: Attributes,
  onConstraint?: (constraint: string) => void,
) => Promise<UserInfo>;

/**
 * Creates impersonation. The mode that last succeeded for a user name is tried first the next time, which decides the
 * message of a refusal and the groups of an impersonated node.
 */
export function createImpersonation(authorizer: Pick<Authorizer, "authorize">): Impersonation {
  const lastModes = new Map<string, Mode>();
  return async (headers, requester, attributes, onConstraint) => {
    const wanted = parseImpersonation(headers);
    if (wanted === undefined) return requester;
    const last = lastModes.get(requester.username);
    let refusal: StatusError | undefined;
    for (const mode of putFirst([...listConstrainedModes(wanted), "impersonate"], last)) {
      const refused = await findRefusal({ authorizer, requester, mode }, wanted, attributes);
      if (refused === undefined) {
        if (mode !== "impersonate") onConstraint?.(`impersonate:${mode}`);
        cacheMode(lastModes, requester.username, mode);
        return createImpersonatedUser(mode, wanted);
      }
      refusal ??= refused;
    }
    throw refusal;
  };
}

function putFirst(modes: readonly Mode[], first: Mode | undefined): readonly Mode[] {
  if (first === undefined || !modes.includes(first)) return modes;
  return [first, ...modes.filter((mode) => mode !== first)];
}

/** The newest entry is at the end of a Map, so the first entry is the least recently used one. */
function cacheMode(lastModes: Map<string, Mode>, username: string, mode: Mode): void {
  lastModes.delete(username);
  lastModes.set(username, mode);
  if (lastModes.size <= MAX_CACHED_MODES) return;
  const [oldest] = lastModes.keys();
  if (oldest !== undefined) lastModes.delete(oldest);
}

/** Nodes and service accounts have fixed groups, so their modes accept only a user name. */
function listConstrainedModes(wanted: UserInfo): readonly Mode[] {
  const isPlain = wanted.uid === "" && wanted.groups.length === 0 && Object.keys(wanted.extra).length === 0;
  if (isNodeUsername(wanted.username)) return isPlain ? ["arbitrary-node"] : [];
  if (splitServiceAccount(wanted.username) !== undefined) return isPlain ? ["serviceaccount"] : [];
  return ["user-info"];
}

/** Parses a service account's user name (`apiserver/pkg/authentication/serviceaccount`, `SplitUsername`). */
function splitServiceAccount(username: string): { readonly namespace: string; readonly name: string } | undefined {
  if (!username.startsWith(SERVICE_ACCOUNT_PREFIX)) return undefined;
  const [namespace = "", name = "", ...rest] = username.slice(SERVICE_ACCOUNT_PREFIX.length).split(":");
  const isValid = dns1123LabelErrors(namespace).length === 0 && dns1123SubdomainErrors(name).length === 0;
  return rest.length === 0 && isValid ? { namespace, name } : undefined;
}

/** Whether this is the user name of a node with a valid name. */
function isNodeUsername(username: string): boolean {
  if (!username.startsWith(NODE_USER_PREFIX)) return false;
  const text = username.slice(NODE_USER_PREFIX.length);
  const name = parseNodeName(text);
  return name.ok && name.value === text;
}

async function findRefusal(
  check: Check,
  wanted: UserInfo,
  attributes: Attributes,
): Promise<StatusError | undefined> {
  if (check.mode !== "impersonate") {
    const verb = `impersonate-on:${check.mode}:${attributes.verb}`;
    const refused = await authorize(check, { ...attributes, verb });
    if (refused !== undefined) return refused;
  }
  return await authorize(check, toUsernameAttributes(check.mode, wanted.username)) ??
    await findUidRefusal(check, wanted.uid) ??
    await findGroupRefusal(check, wanted.groups) ??
    await findExtraRefusal(check, wanted.extra);
}

function toUsernameAttributes(mode: Mode, username: string): ResourceAttributes {
  if (mode === "arbitrary-node") return createCheckAttributes(mode, "nodes", username.slice(NODE_USER_PREFIX.length));
  const account = splitServiceAccount(username);
  if (account === undefined) return createCheckAttributes(mode, "users", username);
  return { ...createCheckAttributes(mode, "serviceaccounts", account.name), namespace: account.namespace };
}

async function findUidRefusal(check: Check, uid: string): Promise<StatusError | undefined> {
  return uid === "" ? undefined : await authorize(check, createAuthenticationAttributes(check.mode, "uids", "", uid));
}

async function findGroupRefusal(check: Check, groups: readonly string[]): Promise<StatusError | undefined> {
  const attributes = (name: string) => createCheckAttributes(check.mode, "groups", name);
  const refuse = (name: string, reason: string) => createDeniedError(check.requester, attributes(name), reason);
  if (check.mode !== "impersonate") {
    if (groups.includes("")) return refuse("", "impersonating the empty string group is not allowed");
    if (groups.includes(MASTERS_GROUP)) {
      return refuse(MASTERS_GROUP, "impersonating the system:masters group is not allowed");
    }
    if (groups.length >= WILDCARD_CHECK_FROM && await authorize(check, attributes("*")) === undefined) return undefined;
  }
  for (const group of groups) {
    const refused = await authorize(check, attributes(group));
    if (refused !== undefined) return refused;
  }
  return undefined;
}

async function findExtraRefusal(
  check: Check,
  extra: Readonly<Record<string, readonly string[]>>,
): Promise<StatusError | undefined> {
  const pairs = Object.entries(extra).flatMap(([key, values]) => values.map((value) => [key, value] as const));
  const attributes = (key: string, value: string) =>
    createAuthenticationAttributes(check.mode, "userextras", key, value);
  if (check.mode !== "impersonate") {
    const fault = findExtraFault(extra);
    if (fault !== undefined) return createDeniedError(check.requester, attributes("", ""), fault);
    if (pairs.length >= WILDCARD_CHECK_FROM && await authorize(check, attributes("*", "*")) === undefined) {
      return undefined;
    }
  }
  for (const [key, value] of pairs) {
    const refused = await authorize(check, attributes(key, value));
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** Runs one permission check: returns its refusal, or undefined when it is allowed. */
async function authorize(check: Check, attributes: Attributes): Promise<StatusError | undefined> {
  let reason: string;
  try {
    const decision = await check.authorizer.authorize(check.requester, attributes);
    if (decision.kind === "allow") return undefined;
    reason = decision.reason;
  } catch (error) {
    reason = getErrorMessage(error);
  }
  return createDeniedError(check.requester, attributes, reason);
}

/** The classic mode checks users and groups in the core API group, the constrained modes in the authentication group. */
function createCheckAttributes(mode: Mode, resource: string, name: string): ResourceAttributes {
  if (mode !== "impersonate") return createAuthenticationAttributes(mode, resource, "", name);
  return { ...createAuthenticationAttributes(mode, resource, "", name), apiGroup: "" };
}

function createAuthenticationAttributes(
  mode: Mode,
  resource: string,
  subresource: string,
  name: string,
): ResourceAttributes {
  return {
    kind: "resource",
    verb: mode === "impersonate" ? mode : `impersonate:${mode}`,
    apiGroup: AUTHENTICATION_GROUP,
    apiVersion: "v1",
    resource,
    subresource,
    name,
    namespace: "",
  };
}

/** Adds the groups that follow from the user name. */
function createImpersonatedUser(mode: Mode, wanted: UserInfo): UserInfo {
  const groups = [...wanted.groups];
  if (mode === "arbitrary-node") groups.push(NODES_GROUP);
  const account = splitServiceAccount(wanted.username);
  if (account !== undefined && groups.length === 0) {
    groups.push(...listAccountGroups(account.namespace));
  }
  const isAnonymous = wanted.username === ANONYMOUS_USER;
  const missing = isAnonymous ? UNAUTHENTICATED_GROUP : AUTHENTICATED_GROUP;
  const isSettled = groups.includes(missing) || (!isAnonymous && groups.includes(UNAUTHENTICATED_GROUP));
  return { ...wanted, groups: isSettled ? groups : [...groups, missing] };
}

/**
 * Finds the `Impersonate-*` headers in a flat list of names and values. Group names may contain commas, so joined
 * values would be ambiguous.
 */
export function findImpersonationHeaders(raw: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    if (name.startsWith("impersonate-")) pairs.push([name, raw[index + 1]!]);
  }
  return pairs;
}

/** The allowed characters, as in apimachinery's `validation.IsDomainPrefixedPath`. */
const PATH = /^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;
const PATH_TEXT = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";

/** Finds the first fault of the extra of a user that is impersonated in a constrained mode (`impersonation/mode.go`). */
function findExtraFault(extra: Readonly<Record<string, readonly string[]>>): string | undefined {
  for (const [key, values] of Object.entries(extra)) {
    if (key === "") return "impersonating the empty string key in extra is not allowed";
    const faults = findKeyFaults(key);
    if (faults.length > 0) {
      return `impersonating an invalid key in extra is not allowed: ${joinErrors(faults)}`;
    }
    if (key !== key.toLowerCase()) {
      return `impersonating a non-lowercase key in extra is not allowed: ${goQuote(key)}`;
    }
    if (values.includes("")) return "impersonating the empty string value in extra is not allowed";
  }
  return undefined;
}

function findKeyFaults(key: string): readonly string[] {
  const slash = key.indexOf("/");
  const fault = (value: string, text: string) => formatFieldError(invalid("extra.key", value, text));
  if (slash <= 0 || slash === key.length - 1) {
    return [fault(key, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const host = key.slice(0, slash);
  const path = key.slice(slash + 1);
  return [
    ...dns1123SubdomainErrors(host).map((text) => fault(host, text)),
    ...(PATH.test(path) ? [] : [fault(path, PATH_TEXT)]),
  ];
}

const EXTRA_PREFIX = "impersonate-extra-";

/**
 * Parses the user in the headers, without defaults and without authorization. Undefined when there is no such header.
 * Throws StatusError 400 for a group, uid or extra without a user.
 *
 * @param headers name and value of every header, with every repetition
 */
function parseImpersonation(headers: readonly (readonly [string, string])[]): UserInfo | undefined {
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

/** Decodes percent escapes. A key with a malformed escape is returned unchanged. */
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
