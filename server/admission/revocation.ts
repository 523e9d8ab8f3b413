/**
 * Two admission plugins of revocations, which kube-apiserver does not have. One refuses certificates for what is revoked,
 * whoever creates, approves or signs a request, and whichever rule or program decides. The other deletes revoked tokens.
 */
import { findTokenSecret } from "../registry/secrets.ts";
import { toTokenSecretName } from "../../core/token/token_secret.ts";
import { findCondition, hasCertificate } from "../../core/request/phase.ts";
import { certificateSigningRequestKind, revocationKind } from "../../core/kube/kinds/mod.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Logger } from "../../core/ports.ts";
import type { Revocations } from "../revocation/revocations.ts";
import type { Storage } from "../storage/storage.ts";
import type { AdmissionPlugin } from "./admission.ts";

export function createRevocationPlugins(
  { revocations, storage, logger }: {
    readonly revocations: Pick<Revocations, "findForRequest">;
    readonly storage: Pick<Storage, "get">;
    readonly logger: Logger;
  },
): readonly AdmissionPlugin[] {
  return [createRequestCheck(revocations), createTokenDeletion(storage, logger)];
}

/** Deletes the Secret of a bootstrap token in the transaction that revokes the token. */
function createTokenDeletion(storage: Pick<Storage, "get">, logger: Logger): AdmissionPlugin {
  return {
    name: "RevokedTokenDeletion",
    kinds: [revocationKind],
    async validate({ operation, object, alsoWrite }) {
      if (operation !== "CREATE") return undefined;
      const { token = "" } = (object as Revocation).spec;
      if (token === "" || alsoWrite === undefined) return undefined;
      try {
        const stored = await findTokenSecret(storage, toTokenSecretName(token));
        if (stored !== undefined) alsoWrite({ kind: "delete", key: stored.key, expectedRevision: stored.revision });
      } catch (error) {
        // A Secret that another API server has encrypted cannot be read. The token is still refused.
        logger.warn("the Secret of a revoked token is not deleted", { tokenId: token, error });
      }
      return undefined;
    },
  };
}

function createRequestCheck(revocations: Pick<Revocations, "findForRequest">): AdmissionPlugin {
  return {
    name: "Revocation",
    kinds: [certificateSigningRequestKind],
    async validate({ operation, subresource, object, oldObject }) {
      if (object === undefined) return undefined;
      const csr = object as CertificateSigningRequest;
      const before = oldObject as CertificateSigningRequest | undefined;
      const isNew = operation === "CREATE" && subresource === "";
      const isApproval = subresource === "approval" && findCondition(csr, "Approved") !== undefined &&
        (before === undefined || findCondition(before, "Approved") === undefined);
      const isSignature = subresource === "status" && hasCertificate(csr) &&
        (before === undefined || !hasCertificate(before));
      if (!isNew && !isApproval && !isSignature) return undefined;
      const match = await revocations.findForRequest(before ?? csr);
      return match === undefined ? undefined : { message: match.message };
    },
  };
}
