/** Node (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { message } from "./_fields.ts";
import { nodeSpecSchema } from "./_node_spec.ts";
import { nodeStatusSchema } from "./_node_status.ts";
import { METADATA } from "./_object_meta.ts";

/** A machine of the cluster. */
export const nodeSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Node",
  description: "A machine of the cluster.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => nodeSpecSchema),
      presence: "always",
      description: "How the node is to be used.",
    },
    status: {
      number: 3,
      type: message(() => nodeStatusSchema),
      presence: "always",
      description: "What the node last reported.",
    },
  },
};

/** `Node` of `v1`. */
export const nodeKind: Kind = {
  group: "",
  version: "v1",
  kind: "Node",
  listKind: "NodeList",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  categories: [],
  namespaced: false,
  schema: nodeSchema,
};
