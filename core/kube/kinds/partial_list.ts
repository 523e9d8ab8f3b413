/** PartialObjectMetadataList of `meta.k8s.io`: the metadata of a list of any kind. */
import type { MessageSchema } from "../schema.ts";
import { list, message } from "./_fields.ts";
import { listMetaSchema, partialObjectMetadataSchema } from "./meta_v1.ts";

/** A list of objects reduced to their metadata. */
export const partialObjectMetadataListSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList",
  description: "The metadata of several objects.",
  fields: {
    metadata: { number: 1, type: message(() => listMetaSchema), presence: "always" },
    items: { number: 2, type: list(message(() => partialObjectMetadataSchema)), presence: "always" },
  },
};

/** The same in `v1beta1`, which numbers its fields the other way round. */
export const partialObjectMetadataListV1beta1Schema: MessageSchema = {
  ...partialObjectMetadataListSchema,
  name: "io.k8s.apimachinery.pkg.apis.meta.v1beta1.PartialObjectMetadataList",
  fields: {
    items: { number: 1, type: list(message(() => partialObjectMetadataSchema)), presence: "always" },
    metadata: { number: 2, type: message(() => listMetaSchema), presence: "always" },
  },
};
