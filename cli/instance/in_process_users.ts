/** Who the in-process controllers are to the API, as with `--use-service-account-credentials`. */
import { AUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";

/** The service account of a controller in kube-system. */
export function controllerUser(name: string): UserInfo {
  return {
    username: `system:serviceaccount:kube-system:${name}`,
    uid: "",
    groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED_GROUP],
    extra: {},
  };
}

/** Who follows and reads what several controllers share. */
export const CONTROLLER_MANAGER: UserInfo = {
  username: "system:kube-controller-manager",
  uid: "",
  groups: [AUTHENTICATED_GROUP],
  extra: {},
};
