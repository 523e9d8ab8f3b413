/** Admission requests, and calls of a single admission plugin. */
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { testUser } from "./test_rbac.ts";
import { createAdmission } from "../../server/admission/admission.ts";
import type {
  AdmissionPlugin,
  AdmissionRequest,
  MutatingRequest,
  Mutation,
  Refusal,
} from "../../server/registry/registry.ts";

/** Creates the admission request of a creation; by default an authenticated user creates a CSR. */
export function creation(object: KubeObject, edit: Partial<AdmissionRequest> = {}): MutatingRequest {
  return {
    operation: "CREATE",
    kind: certificateSigningRequestKind,
    subresource: "",
    name: getName(object),
    namespace: object.metadata.namespace ?? "",
    user: testUser("jane", "system:authenticated"),
    ...edit,
    object,
  };
}

/** Creates the admission request of an update. */
export function update(
  oldObject: KubeObject,
  object: KubeObject,
  edit: Partial<AdmissionRequest> = {},
): MutatingRequest & { readonly oldObject: KubeObject } {
  return { ...creation(object, edit), operation: "UPDATE", oldObject };
}

/** Creates the admission request of a deletion. */
export function deletion(oldObject: KubeObject, edit: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const { object: _object, ...request } = creation(oldObject, edit);
  return { ...request, operation: "DELETE", oldObject };
}

/** Runs the validating phase of one plugin, which is called only for its kinds. */
export function validateWith(
  plugin: AdmissionPlugin | undefined,
  request: AdmissionRequest,
): Promise<Refusal | undefined> {
  return createAdmission([plugin!]).validate(request);
}

/** Runs the mutating phase of one plugin, which is called only for its kinds. */
export function mutateWith(plugin: AdmissionPlugin | undefined, request: MutatingRequest): Promise<Mutation> {
  return createAdmission([plugin!]).mutate(request);
}
