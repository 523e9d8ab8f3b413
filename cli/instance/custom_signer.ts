/** The custom signers of `up`: one service account, with the rights that their signer names need. */
import { signerClusterRole, signerClusterRoleBinding } from "../../core/signing/rbac.ts";
import { rbacObject } from "../../server/authz/default_objects.ts";
import type { BootstrapObject } from "../../server/bootstrap_objects.ts";
import { controllerUser } from "./in_process_users.ts";
import { exactRole } from "./instance_rbac.ts";

const ACCOUNT = "tlsboot-custom-signer";
const ROLE = "tlsboot:custom-signer";

/** The user of the custom signers. */
export const CUSTOM_SIGNER = controllerUser(ACCOUNT);

/**
 * Creates their role and binding, for the start of the server. A removed signer name loses its right to be signed for.
 */
export function customSignerObjects(signerNames: readonly string[]): readonly BootstrapObject[] {
  if (signerNames.length === 0) return [];
  const role = signerClusterRole(ROLE, signerNames);
  return [exactRole(role), rbacObject("clusterrolebindings", signerClusterRoleBinding(ROLE, ACCOUNT))];
}
