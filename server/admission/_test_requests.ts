/** Admission requests for tests. */
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { getName } from "../../core/kube/meta.ts";
import { testUser } from "../../tests/support/test_rbac.ts";
import type { AdmissionRequest, MutatingRequest } from "./admission.ts";

/** A creation; the default is a CSR by somebody. */
export function creation(object: KubeObject, edit: Partial<AdmissionRequest> = {}): MutatingRequest {
  return {
    operation: "CREATE",
    kind: certificateSigningRequestKind,
    subresource: "",
    name: getName(object),
    namespace: object.metadata.namespace ?? "",
    user: testUser("somebody", "system:authenticated"),
    ...edit,
    object,
  };
}

/** An update from one object to another. */
export function update(
  oldObject: KubeObject,
  object: KubeObject,
  edit: Partial<AdmissionRequest> = {},
): MutatingRequest & { readonly oldObject: KubeObject } {
  return { ...creation(object, edit), operation: "UPDATE", oldObject };
}

/** A deletion. */
export function deletion(oldObject: KubeObject, edit: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const { object: _object, ...request } = creation(oldObject, edit);
  return { ...request, operation: "DELETE", oldObject };
}
