/** An authenticated user (`authentication.k8s.io/v1` UserInfo). */
export interface UserInfo {
  readonly username: string;
  /** Empty if the authenticator knows none. */
  readonly uid: string;
  /** In the authenticator's order, then `system:authenticated`. */
  readonly groups: readonly string[];
  /** The keys are in lower case. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** The prefix of a node's user name and certificate common name. */
export const NODE_USER_PREFIX = "system:node:";
/** The prefix of the user name of a bootstrap token, before its id. */
export const BOOTSTRAP_USER_PREFIX = "system:bootstrap:";
/** The group of every bootstrap token. */
export const BOOTSTRAPPERS_GROUP = "system:bootstrappers";
/** The group and certificate organization of every node. */
export const NODES_GROUP = "system:nodes";
/** The prefix of a service account's user name, before its namespace and its name. */
export const SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:";
export const SERVICE_ACCOUNTS_GROUP = "system:serviceaccounts";
/** Members pass every authorization check. */
export const MASTERS_GROUP = "system:masters";
/** The group of every user except the anonymous one. */
export const AUTHENTICATED_GROUP = "system:authenticated";
/** The only group of the anonymous user. */
export const UNAUTHENTICATED_GROUP = "system:unauthenticated";
/** The user of a request that presents no credential. */
export const ANONYMOUS_USER = "system:anonymous";
/** The user that kube-controller-manager authenticates as, if its controllers do not use service accounts. */
export const CONTROLLER_MANAGER_USER = "system:kube-controller-manager";
/** The user that kube-scheduler authenticates as. */
export const SCHEDULER_USER = "system:kube-scheduler";
/** The key in a user's `extra` for the client certificate: `CREDENTIAL_ID_PREFIX` and the fingerprint in hex. */
export const CREDENTIAL_ID_KEY = "authentication.kubernetes.io/credential-id";
export const CREDENTIAL_ID_PREFIX = "X509SHA256=";

/** Returns the node name in a node's user name or common name; undefined for any other user. */
export function parseNodeUser(username: string = ""): string | undefined {
  return username.startsWith(NODE_USER_PREFIX) ? username.slice(NODE_USER_PREFIX.length) || undefined : undefined;
}

/** Returns the user name of a service account (`apiserver/pkg/authentication/serviceaccount/util.go`). */
export function toAccountUsername(namespace: string, name: string): string {
  return `${SERVICE_ACCOUNT_PREFIX}${namespace}:${name}`;
}

/** Returns the groups of the service accounts of a namespace. */
export function listAccountGroups(namespace: string): readonly string[] {
  return [SERVICE_ACCOUNTS_GROUP, `${SERVICE_ACCOUNTS_GROUP}:${namespace}`];
}
