/** The users of the in-process controllers, as with kube-controller-manager's `--use-service-account-credentials`. */
import { AUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";

/** Returns the service account of a controller in kube-system. */
export function controllerUser(name: string): UserInfo {
  return {
    username: `system:serviceaccount:kube-system:${name}`,
    uid: "",
    groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED_GROUP],
    extra: {},
  };
}

/** The user of watches that several controllers share. */
export const CONTROLLER_MANAGER: UserInfo = {
  username: "system:kube-controller-manager",
  uid: "",
  groups: [AUTHENTICATED_GROUP],
  extra: {},
};
