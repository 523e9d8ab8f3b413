/** ServiceAccount (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { BOOL, list, message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";
import { localObjectReferenceSchema, objectReferenceSchema } from "./_references.ts";

/** An identity for programs that run in pods. */
export const serviceAccountSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.ServiceAccount",
  description: "An identity for programs that run in pods.",
  fields: {
    metadata: METADATA,
    secrets: {
      number: 2,
      type: list(message(() => objectReferenceSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["name"],
      patchStrategy: "merge",
      patchMergeKey: "name",
      description: "Secrets that pods of this account may use.",
    },
    imagePullSecrets: {
      number: 3,
      type: list(message(() => localObjectReferenceSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Secrets to pull images with.",
    },
    automountServiceAccountToken: {
      number: 4,
      type: BOOL,
      presence: "optional",
      description: "Whether pods get a token mounted unless they say otherwise.",
    },
  },
};

/** `ServiceAccount` of `v1`. */
export const serviceAccountKind: Kind = {
  group: "",
  version: "v1",
  kind: "ServiceAccount",
  listKind: "ServiceAccountList",
  plural: "serviceaccounts",
  singular: "serviceaccount",
  shortNames: ["sa"],
  categories: [],
  namespaced: true,
  schema: serviceAccountSchema,
};
