/** The user of a request that shows no credential. */
import { ANONYMOUS_USER, UNAUTHENTICATED_GROUP, type UserInfo } from "../../core/kube/user.ts";

/** `system:anonymous`, in `system:unauthenticated` only. */
export const ANONYMOUS: UserInfo = {
  username: ANONYMOUS_USER,
  uid: "",
  groups: [UNAUTHENTICATED_GROUP],
  extra: {},
};
