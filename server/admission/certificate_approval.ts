/** CertificateApproval: who writes `/approval` must be allowed to approve for the signer (`csr-api.md` §9.2). */
import { quoteText } from "../../core/kube/quote.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { isAllowedForSigner } from "../authz/signer_permission.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { isCsr } from "./csr.ts";

/** Builds the plugin. It asks for the signer of the stored object: the sent one may name another. */
export function createCertificateApproval(
  deps: { readonly authorizer: Pick<Authorizer, "authorize">; readonly logger?: Logger },
): AdmissionPlugin {
  return {
    name: "CertificateApproval",
    async validate({ operation, kind, subresource, user, oldObject }) {
      if (operation !== "UPDATE" || subresource !== "approval" || !isCsr(kind, oldObject)) return undefined;
      const { signerName } = oldObject.spec;
      if (await isAllowedForSigner(deps, user, "approve", signerName)) return undefined;
      return { message: `user not permitted to approve requests with signerName ${quoteText(signerName)}` };
    },
  };
}
