/**
 * Impersonation (`apiserver/pkg/endpoints/filters/impersonation`, `api-wire.md` §14): everything that the headers name
 * is authorized for the real user. First the constrained modes, which also look at the request that is to be made, then
 * the classic verb `impersonate`. The mode `associated-node` needs service account tokens, which this server has not.
 */
import { parseNodeName } from "../../core/bootstrap/node_name.ts";
import { messageOf } from "../../core/errors.ts";
import {
  ANONYMOUS_USER,
  AUTHENTICATED_GROUP,
  MASTERS_GROUP,
  NODE_USER_PREFIX,
  NODES_GROUP,
  UNAUTHENTICATED_GROUP,
  type UserInfo,
} from "../../core/kube/user.ts";
import { dns1123LabelErrors, dns1123SubdomainErrors } from "../../core/kube/names.ts";
import type { StatusError } from "../../core/kube/status.ts";
import type { Attributes, ResourceAttributes } from "../../core/rbac/attributes.ts";
import type { Authorizer } from "./authorizer.ts";
import { deniedError } from "./denied.ts";
import { findExtraFault } from "./impersonation_extra.ts";
import { parseImpersonation } from "./impersonation_headers.ts";

/** The classic mode and the constrained ones. */
type Mode = "impersonate" | "arbitrary-node" | "serviceaccount" | "user-info";

/** What every check needs. */
interface Check {
  readonly authorizer: Pick<Authorizer, "authorize">;
  readonly requester: UserInfo;
  readonly mode: Mode;
}

const SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:";
/** With this many groups or extra values a single check for all of them comes first. */
const MANY = 4;
/** User names whose last mode is remembered (`impersonation/cache.go`). */
const MAX_REMEMBERED = 10_000;
const AUTHENTICATION_GROUP = "authentication.k8s.io";

/**
 * The user to act as; the real user when no header asks for another. Throws StatusError 400 (no user named) or 403, which
 * tells of the first mode that was tried.
 *
 * @param headers names and values, repeated ones repeated
 * @param attributes the request that is to be made as the other user
 * @param tellConstraint is told the verb of the constrained mode that allowed it, if it was one
 */
export type Impersonation = (
  headers: readonly (readonly [string, string])[],
  requester: UserInfo,
  attributes: Attributes,
  tellConstraint?: (constraint: string) => void,
) => Promise<UserInfo>;

/**
 * Builds impersonation. The mode that last succeeded for a user name is tried first the next time: that decides what a
 * refusal tells, and which groups a node gets.
 */
export function createImpersonation(authorizer: Pick<Authorizer, "authorize">): Impersonation {
  const lastModes = new Map<string, Mode>();
  return async (headers, requester, attributes, tellConstraint) => {
    const wanted = parseImpersonation(headers);
    if (wanted === undefined) return requester;
    const last = lastModes.get(requester.username);
    let refusal: StatusError | undefined;
    for (const mode of inOrder([...constrainedModesFor(wanted), "impersonate"], last)) {
      const refused = await findRefusal({ authorizer, requester, mode }, wanted, attributes);
      if (refused === undefined) {
        if (mode !== "impersonate") tellConstraint?.(`impersonate:${mode}`);
        remember(lastModes, requester.username, mode);
        return impersonatedUser(mode, wanted);
      }
      refusal ??= refused;
    }
    throw refusal;
  };
}

function inOrder(modes: readonly Mode[], first: Mode | undefined): readonly Mode[] {
  if (first === undefined || !modes.includes(first)) return modes;
  return [first, ...modes.filter((mode) => mode !== first)];
}

/** What was written last is at the end of a Map: the names that go are those that were not used for the longest time. */
function remember(lastModes: Map<string, Mode>, username: string, mode: Mode): void {
  lastModes.delete(username);
  lastModes.set(username, mode);
  if (lastModes.size <= MAX_REMEMBERED) return;
  for (const oldest of lastModes.keys()) {
    lastModes.delete(oldest);
    return;
  }
}

/** Nodes and service accounts have fixed groups, so these modes take nothing but the name. */
function constrainedModesFor(wanted: UserInfo): readonly Mode[] {
  const isPlain = wanted.uid === "" && wanted.groups.length === 0 && Object.keys(wanted.extra).length === 0;
  if (isNodeUsername(wanted.username)) return isPlain ? ["arbitrary-node"] : [];
  if (splitServiceAccount(wanted.username) !== undefined) return isPlain ? ["serviceaccount"] : [];
  return ["user-info"];
}

/** Namespace and name of a service account's user name (`apiserver/pkg/authentication/serviceaccount` SplitUsername). */
function splitServiceAccount(username: string): { readonly namespace: string; readonly name: string } | undefined {
  if (!username.startsWith(SERVICE_ACCOUNT_PREFIX)) return undefined;
  const [namespace = "", name = "", ...rest] = username.slice(SERVICE_ACCOUNT_PREFIX.length).split(":");
  const isValid = dns1123LabelErrors(namespace).length === 0 && dns1123SubdomainErrors(name).length === 0;
  return rest.length === 0 && isValid ? { namespace, name } : undefined;
}

/** A node's user name whose node could exist. */
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
  return await authorize(check, usernameAttributes(check.mode, wanted.username)) ??
    await findUidRefusal(check, wanted.uid) ??
    await findGroupRefusal(check, wanted.groups) ??
    await findExtraRefusal(check, wanted.extra);
}

function usernameAttributes(mode: Mode, username: string): ResourceAttributes {
  if (mode === "arbitrary-node") return attributesFor(mode, "nodes", username.slice(NODE_USER_PREFIX.length));
  const account = splitServiceAccount(username);
  if (account === undefined) return attributesFor(mode, "users", username);
  return { ...attributesFor(mode, "serviceaccounts", account.name), namespace: account.namespace };
}

async function findUidRefusal(check: Check, uid: string): Promise<StatusError | undefined> {
  return uid === "" ? undefined : await authorize(check, authenticationAttributes(check.mode, "uids", "", uid));
}

async function findGroupRefusal(check: Check, groups: readonly string[]): Promise<StatusError | undefined> {
  const attributes = (name: string) => attributesFor(check.mode, "groups", name);
  const refuse = (name: string, reason: string) => deniedError(check.requester, attributes(name), reason);
  if (check.mode !== "impersonate") {
    if (groups.includes("")) return refuse("", "impersonating the empty string group is not allowed");
    if (groups.includes(MASTERS_GROUP)) {
      return refuse(MASTERS_GROUP, "impersonating the system:masters group is not allowed");
    }
    if (groups.length >= MANY && await authorize(check, attributes("*")) === undefined) return undefined;
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
  const attributes = (key: string, value: string) => authenticationAttributes(check.mode, "userextras", key, value);
  if (check.mode !== "impersonate") {
    const fault = findExtraFault(extra);
    if (fault !== undefined) return deniedError(check.requester, attributes("", ""), fault);
    if (pairs.length >= MANY && await authorize(check, attributes("*", "*")) === undefined) return undefined;
  }
  for (const [key, value] of pairs) {
    const refused = await authorize(check, attributes(key, value));
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** The refusal of one check, or undefined when it is allowed. */
async function authorize(check: Check, attributes: Attributes): Promise<StatusError | undefined> {
  let reason: string;
  try {
    const decision = await check.authorizer.authorize(check.requester, attributes);
    if (decision.kind === "allow") return undefined;
    reason = decision.reason;
  } catch (error) {
    reason = messageOf(error);
  }
  return deniedError(check.requester, attributes, reason);
}

/** Names and groups are asked for in the core group classically, in the authentication group by the new modes. */
function attributesFor(mode: Mode, resource: string, name: string): ResourceAttributes {
  if (mode !== "impersonate") return authenticationAttributes(mode, resource, "", name);
  return { ...authenticationAttributes(mode, resource, "", name), apiGroup: "" };
}

function authenticationAttributes(mode: Mode, resource: string, subresource: string, name: string): ResourceAttributes {
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

/** Adds the groups that follow from the name. */
function impersonatedUser(mode: Mode, wanted: UserInfo): UserInfo {
  const groups = [...wanted.groups];
  if (mode === "arbitrary-node") groups.push(NODES_GROUP);
  const account = splitServiceAccount(wanted.username);
  if (account !== undefined && groups.length === 0) {
    groups.push("system:serviceaccounts", `system:serviceaccounts:${account.namespace}`);
  }
  const isAnonymous = wanted.username === ANONYMOUS_USER;
  const missing = isAnonymous ? UNAUTHENTICATED_GROUP : AUTHENTICATED_GROUP;
  const isSettled = groups.includes(missing) || (!isAnonymous && groups.includes(UNAUTHENTICATED_GROUP));
  return { ...wanted, groups: isSettled ? groups : [...groups, missing] };
}

/** The `Impersonate-*` headers, from names and values in turn; group names may contain commas, so joined values would not do. */
export function impersonationHeaders(raw: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    if (name.startsWith("impersonate-")) pairs.push([name, raw[index + 1]!]);
  }
  return pairs;
}
