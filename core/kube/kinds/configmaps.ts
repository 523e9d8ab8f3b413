/** ConfigMap (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { BOOL, BYTES, map, STRING } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Plain values under short keys. */
export const configMapSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.ConfigMap",
  description: "Plain values under short keys.",
  fields: {
    metadata: METADATA,
    immutable: {
      number: 4,
      type: BOOL,
      presence: "optional",
      description: "True forbids any further change of the values.",
    },
    data: { number: 2, type: map(STRING), presence: "omitempty", description: "Values as text." },
    binaryData: {
      number: 3,
      type: map(BYTES),
      presence: "omitempty",
      description: "Values as bytes, base64 in JSON.",
    },
  },
};

/** `ConfigMap` of `v1`. */
export const configMapKind: Kind = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  listKind: "ConfigMapList",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  namespaced: true,
  schema: configMapSchema,
};
