/** References between objects (staging `k8s.io/api/core/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { STRING } from "./_fields.ts";

/** Points at another object, or a part of it. */
export const objectReferenceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ObjectReference",
  description: "Points at another object, or a part of it.",
  mapType: "atomic",
  fields: {
    kind: { number: 1, type: STRING, presence: "omitempty", description: "Kind of the object." },
    namespace: { number: 2, type: STRING, presence: "omitempty", description: "Namespace of the object." },
    name: { number: 3, type: STRING, presence: "omitempty", description: "Name of the object." },
    uid: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      goType: "types.UID",
      description: "Identifier of the object.",
    },
    apiVersion: { number: 5, type: STRING, presence: "omitempty", description: "Group and version of the object." },
    resourceVersion: {
      number: 6,
      type: STRING,
      presence: "omitempty",
      description: "Version of the object that is meant.",
    },
    fieldPath: { number: 7, type: STRING, presence: "omitempty", description: "Part of the object that is meant." },
  },
};

/** Names an object of the same namespace. */
export const localObjectReferenceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.LocalObjectReference",
  description: "Names an object of the same namespace.",
  mapType: "atomic",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty", default: "", description: "Name of the object." },
  },
};
