/** Who is a node (`pkg/auth/nodeidentifier/default.go`). */
import { NODE_USER_PREFIX, NODES_GROUP, type UserInfo } from "../../core/kube/user.ts";

/** Tells whether a user is a node: the name alone or the group alone is not enough. */
export function isNodeUser(user: UserInfo): boolean {
  return user.username.startsWith(NODE_USER_PREFIX) && user.groups.includes(NODES_GROUP);
}

/** The name of the node behind a user (possibly empty), or undefined when the user is not a node. */
export function findNodeName(user: UserInfo): string | undefined {
  return isNodeUser(user) ? user.username.slice(NODE_USER_PREFIX.length) : undefined;
}
