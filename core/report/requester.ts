/** The users of Kubernetes in words: the holder of a token, a node, a service account, or a person. */
import { findTokenId } from "../token/token_secret.ts";
import { quoteUnlessPlain } from "./words.ts";
import { ANONYMOUS_USER, parseNodeUser, SERVICE_ACCOUNT_PREFIX } from "../kube/user.ts";

/** The identity that the name of a user expresses. */
export type Identity =
  | { readonly kind: "token"; readonly id: string }
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "account"; readonly namespace: string; readonly name: string }
  | { readonly kind: "user"; readonly name: string }
  | { readonly kind: "anonymous" }
  /** There is no name, as in a request that was never sent to an API. */
  | { readonly kind: "unknown" };

/** Parses the name of a user; every text has a meaning. */
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

/** Formats an identity for a column of a list, where a person is the name alone. */
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
