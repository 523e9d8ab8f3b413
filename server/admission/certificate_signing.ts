/** CertificateSigning: who writes a certificate or a condition must be allowed to sign (`csr-api.md` §9.3). */
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { quoteText } from "../../core/kube/quote.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import { isAllowedForSigner } from "../authz/signer_permission.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { isCsr } from "./csr.ts";

/** Builds the plugin. Writes of `/status` that change neither certificate nor conditions pass unasked. */
export function createCertificateSigning(
  deps: { readonly authorizer: Pick<Authorizer, "authorize">; readonly logger?: Logger },
): AdmissionPlugin {
  return {
    name: "CertificateSigning",
    async validate({ operation, kind, subresource, user, object, oldObject }) {
      if (operation !== "UPDATE" || subresource !== "status") return undefined;
      if (!isCsr(kind, oldObject) || !isCsr(kind, object)) return undefined;
      if (isSameStatus(object, oldObject)) return undefined;
      const { signerName } = oldObject.spec;
      if (await isAllowedForSigner(deps, user, "sign", signerName)) return undefined;
      return { message: `user not permitted to sign requests with signerName ${quoteText(signerName)}` };
    },
  };
}

/** No conditions and an empty list are one; an absent certificate and an empty one are not. */
function isSameStatus(a: CertificateSigningRequest, b: CertificateSigningRequest): boolean {
  return a.status.certificate === b.status.certificate &&
    JSON.stringify(a.status.conditions ?? []) === JSON.stringify(b.status.conditions ?? []);
}
