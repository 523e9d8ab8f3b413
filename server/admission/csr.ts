/** Recognizes certificate signing requests among what admission sees. */
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";

/** Tells whether an object, decoded as this kind, is a CertificateSigningRequest. */
export function isCsr(kind: Kind, object: KubeObject | undefined): object is CertificateSigningRequest {
  return object !== undefined && kind.group === "certificates.k8s.io" && kind.kind === "CertificateSigningRequest";
}
