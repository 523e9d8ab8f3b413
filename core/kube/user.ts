/** The user that authentication found (`authentication.k8s.io/v1` UserInfo). */
export interface UserInfo {
  readonly username: string;
  /** Empty if the authenticator knows none. */
  readonly uid: string;
  /** In the authenticator's order, `system:authenticated` appended. */
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
/** Appended to every user that is not anonymous. */
export const AUTHENTICATED_GROUP = "system:authenticated";
/** The only group of the anonymous user. */
export const UNAUTHENTICATED_GROUP = "system:unauthenticated";
/** The user of a request that presents no credential. */
export const ANONYMOUS_USER = "system:anonymous";
/** The user as which kube-controller-manager authenticates, where its controllers have no accounts of their own. */
export const CONTROLLER_MANAGER_USER = "system:kube-controller-manager";
/** The user as which kube-scheduler authenticates. */
export const SCHEDULER_USER = "system:kube-scheduler";
/** The key of the fingerprint of a client certificate in its user's extra, after `CREDENTIAL_ID_PREFIX`, in hex. */
export const CREDENTIAL_ID_KEY = "authentication.kubernetes.io/credential-id";
export const CREDENTIAL_ID_PREFIX = "X509SHA256=";

/** Finds the name of the node that a user name or a common name means; undefined for that of any other user. */
export function parseNodeUser(username: string = ""): string | undefined {
  return username.startsWith(NODE_USER_PREFIX) ? username.slice(NODE_USER_PREFIX.length) || undefined : undefined;
}

/** Returns the user name of a service account (`apiserver/pkg/authentication/serviceaccount/util.go`). */
export function toAccountUsername(namespace: string, name: string): string {
  return `${SERVICE_ACCOUNT_PREFIX}${namespace}:${name}`;
}

/** Returns the groups of the service accounts of a namespace (in the same file of upstream). */
export function listAccountGroups(namespace: string): readonly string[] {
  return [SERVICE_ACCOUNTS_GROUP, `${SERVICE_ACCOUNTS_GROUP}:${namespace}`];
}
