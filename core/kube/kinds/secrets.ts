/** Secret (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { BOOL, BYTES, map, STRING } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Confidential values under short keys. */
export const secretSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Secret",
  description: "Confidential values under short keys.",
  fields: {
    metadata: METADATA,
    immutable: {
      number: 5,
      type: BOOL,
      presence: "optional",
      description: "True forbids any further change of the values.",
    },
    data: { number: 2, type: map(BYTES), presence: "omitempty", description: "The values, base64 in JSON." },
    stringData: {
      number: 4,
      type: map(STRING),
      presence: "omitempty",
      description: "Values as plain text; written only, the server moves them into data.",
    },
    type: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      goType: "v1.SecretType",
      description: "Tells programs what the values are for.",
    },
  },
};

/** `Secret` of `v1`. */
export const secretKind: Kind = {
  group: "",
  version: "v1",
  kind: "Secret",
  listKind: "SecretList",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: secretSchema,
};
