/**
 * Two admission plugins for bootstrap tokens with limits (`core/token/bound_token.ts`), which kube-apiserver does not
 * have: requests of a token must be within its limits, and only a user who may approve makes a token that approves.
 */
import { isApprovingToken } from "../../core/token/bound_token.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { certificateSigningRequestKind, secretKind } from "../../core/kube/kinds/mod.ts";
import { goQuote } from "../../core/lib/quote.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { BootstrapTokens } from "../bootstrap_tokens.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { isAllowedForSigner } from "./certificates.ts";

export function createBootstrapTokenPlugins(
  deps: {
    readonly authorizer: Pick<Authorizer, "authorize">;
    readonly logger: Logger;
    readonly tokens: Pick<BootstrapTokens, "decide">;
  },
): readonly AdmissionPlugin[] {
  return [
    {
      name: "BootstrapTokenLimits",
      kinds: [certificateSigningRequestKind],
      async validate({ operation, subresource, object, user, address, alsoWrite }) {
        if (operation !== "CREATE" || subresource !== "") return undefined;
        const csr = object as CertificateSigningRequest;
        const { refusal, write } = await deps.tokens.decide(csr, user.username, address);
        if (write !== undefined) alsoWrite?.(write);
        return refusal;
      },
    },
    {
      name: "BootstrapTokenApproval",
      kinds: [secretKind],
      async validate({ operation, object, user }) {
        if (operation === "DELETE" || !isApprovingToken(object as SecretObject)) return undefined;
        if (await isAllowedForSigner(deps, user, "approve", KUBE_APISERVER_CLIENT_KUBELET_SIGNER)) return undefined;
        const signer = goQuote(KUBE_APISERVER_CLIENT_KUBELET_SIGNER);
        return { message: `user not permitted to make a token that approves requests with signerName ${signer}` };
      },
    },
  ];
}
