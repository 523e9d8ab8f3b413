/** `meta.k8s.io/v1` PartialObjectMetadataList: the metadata of a list of any kind. */
import type { MessageSchema } from "../schema.ts";
import { listOf, messageOf } from "./_fields.ts";
import { listMetaSchema, partialObjectMetadataSchema } from "./meta_v1.ts";

/** A list of objects reduced to their metadata. */
export const partialObjectMetadataListSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadataList",
  description: "The metadata of several objects.",
  fields: {
    metadata: { number: 1, type: messageOf(() => listMetaSchema), presence: "always" },
    items: { number: 2, type: listOf(messageOf(() => partialObjectMetadataSchema)), presence: "always" },
  },
};
