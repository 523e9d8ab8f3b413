/**
 * The users inside the process of an instance. Each controller has a service account, as with kube-controller-manager's
 * `--use-service-account-credentials`.
 */
import {
  AUTHENTICATED_GROUP,
  listAccountGroups,
  MASTERS_GROUP,
  toAccountUsername,
  type UserInfo,
} from "../../core/kube/user.ts";

/** Returns the service account of a controller in kube-system. */
export function controllerUser(name: string): UserInfo {
  return {
    username: toAccountUsername("kube-system", name),
    uid: "",
    groups: [...listAccountGroups("kube-system"), AUTHENTICATED_GROUP],
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

/** The name of the service account that signs, cleans and, without a policy, approves. */
export const CERTIFICATE_CONTROLLER_ACCOUNT = "certificate-controller";

/** The name of the service account of the custom signers of `up`. */
export const CUSTOM_SIGNER_ACCOUNT = "tlsboot-custom-signer";

/** The name of the service account that settles the open requests of what is revoked. */
export const REVOCATION_CONTROLLER_ACCOUNT = "tlsboot-revocation-controller";

/** The user of the composition root, for the objects that it maintains. */
export const ROOT_USER: UserInfo = {
  username: "system:apiserver",
  uid: "",
  groups: [MASTERS_GROUP, AUTHENTICATED_GROUP],
  extra: {},
};

/** The user of the custom signers of `up`. */
export const CUSTOM_SIGNER: UserInfo = controllerUser(CUSTOM_SIGNER_ACCOUNT);
