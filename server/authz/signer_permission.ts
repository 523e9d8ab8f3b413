/** The permission to approve or sign for a signer (`pkg/certauthorization/certauthorization.go`). */
import type { Logger } from "../../core/ports.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Authorizer } from "./authorizer.ts";

/**
 * Whether a user may `approve` or `sign` for a signer. The authorizer is asked for the full name, then for `<domain>/*`; a
 * failing authorizer allows nothing.
 */
export async function isAllowedForSigner(
  deps: { readonly authorizer: Pick<Authorizer, "authorize">; readonly logger: Logger },
  user: UserInfo,
  verb: "approve" | "sign",
  signerName: string,
): Promise<boolean> {
  const slash = signerName.indexOf("/");
  const domain = slash < 0 ? signerName : signerName.slice(0, slash);
  for (const name of [signerName, `${domain}/*`]) {
    try {
      const decision = await deps.authorizer.authorize(user, {
        kind: "resource",
        verb,
        apiGroup: "certificates.k8s.io",
        apiVersion: "*",
        resource: "signers",
        subresource: "",
        name,
        namespace: "",
      });
      if (decision.kind === "allow") return true;
    } catch (error) {
      deps.logger.error("signer permission could not be checked", { user: user.username, verb, signerName, error });
    }
  }
  return false;
}
