/**
 * The admission plugin that refuses certificates for what is revoked: whoever creates, approves or signs a request, and
 * whichever rule or program decides. kube-apiserver has no such plugin.
 */
import { findCondition, hasCertificate } from "../../core/csr/phase.ts";
import type { Revocations } from "../revocations.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { isCsr } from "./certificates.ts";

/** Creates the plugin over the Revocations in force. */
export function createRevocationCheck(revocations: Pick<Revocations, "findForRequest">): AdmissionPlugin {
  return {
    name: "Revocation",
    async validate({ operation, kind, subresource, object, oldObject }) {
      if (!isCsr(kind, object)) return undefined;
      const before = isCsr(kind, oldObject) ? oldObject : undefined;
      const isNew = operation === "CREATE" && subresource === "";
      const isApproval = subresource === "approval" && findCondition(object, "Approved") !== undefined &&
        (before === undefined || findCondition(before, "Approved") === undefined);
      const isSignature = subresource === "status" && hasCertificate(object) &&
        (before === undefined || !hasCertificate(before));
      if (!isNew && !isApproval && !isSignature) return undefined;
      const match = await revocations.findForRequest(before ?? object);
      return match === undefined ? undefined : { message: match.message };
    },
  };
}
