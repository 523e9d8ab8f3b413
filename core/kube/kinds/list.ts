/** Lists of a kind: the same two fields for every kind. */
import type { Kind, MessageSchema } from "../schema.ts";
import { list, message } from "./_fields.ts";
import { listMetaSchema } from "./meta_v1.ts";

const known = new WeakMap<Kind, MessageSchema>();

/** The schema of the list of a kind; the same value at every call, so that codecs may cache by it. */
export function getListSchema(kind: Kind): MessageSchema {
  const found = known.get(kind);
  if (found !== undefined) return found;
  const schema: MessageSchema = {
    name: `${kind.schema.name}List`,
    description: `A list of ${kind.kind} objects.`,
    fields: {
      metadata: {
        number: 1,
        type: message(() => listMetaSchema),
        presence: "always",
        description: "Standard metadata of the list.",
      },
      items: {
        number: 2,
        type: list(message(() => kind.schema)),
        presence: "always",
        required: true,
        description: "The objects.",
      },
    },
  };
  known.set(kind, schema);
  return schema;
}
