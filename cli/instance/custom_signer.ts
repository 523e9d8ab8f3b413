/** The custom signers of `up`: a service account of their own, with the rights that their names need. */
import { signerClusterRole, signerClusterRoleBinding } from "../../core/signing/rbac.ts";
import { rbacObject } from "../../server/authz/default_objects.ts";
import type { BootstrapObject } from "../../server/bootstrap_objects.ts";
import { controllerUser } from "./in_process_users.ts";
import { exactRole } from "./instance_rbac.ts";

const ACCOUNT = "tlsboot-custom-signer";
const ROLE = "tlsboot:custom-signer";

/** Who they are to the API. */
export const CUSTOM_SIGNER = controllerUser(ACCOUNT);

/** Role and binding, to exist before the first request; the right to sign for a name that is gone is taken away. */
export function customSignerObjects(signerNames: readonly string[]): readonly BootstrapObject[] {
  if (signerNames.length === 0) return [];
  const role = signerClusterRole(ROLE, signerNames);
  return [exactRole(role), rbacObject("clusterrolebindings", signerClusterRoleBinding(ROLE, ACCOUNT))];
}
