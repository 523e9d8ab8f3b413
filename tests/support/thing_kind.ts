/** A kind with every form of field, for the tests of this folder. */
import { BOOL, INT32, list, map, message, STRING, TIME } from "../../core/kube/kinds/fields.ts";
import { METADATA } from "../../core/kube/kinds/object_meta.ts";
import type { Kind, MessageSchema, ObjectSchema } from "../../core/kube/schema.ts";

const partSchema: MessageSchema = {
  name: "test.Part",
  fields: {
    name: { number: 1, type: STRING, presence: "always", required: true },
    value: { number: 2, type: STRING, presence: "omitempty" },
    tags: { number: 3, type: list(STRING), presence: "omitempty", listType: "set" },
  },
};

const pairSchema: MessageSchema = {
  name: "test.Pair",
  mapType: "atomic",
  fields: {
    left: { number: 1, type: STRING, presence: "omitempty" },
    right: { number: 2, type: STRING, presence: "omitempty" },
  },
};

const specSchema: MessageSchema = {
  name: "test.Spec",
  fields: {
    text: { number: 1, type: STRING, presence: "omitempty" },
    count: { number: 2, type: INT32, presence: "optional" },
    flag: { number: 3, type: BOOL, presence: "optional" },
    at: { number: 4, type: TIME, presence: "optional" },
    map: { number: 5, type: map(STRING), presence: "omitempty" },
    set: { number: 6, type: list(STRING), presence: "omitempty", listType: "set" },
    parts: {
      number: 7,
      type: list(message(() => partSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["name"],
    },
    atomicList: { number: 8, type: list(STRING), presence: "omitempty", listType: "atomic" },
    atomicMap: { number: 9, type: map(STRING), presence: "omitempty", mapType: "atomic" },
    pair: { number: 10, type: message(() => pairSchema), presence: "optional" },
    part: { number: 11, type: message(() => partSchema), presence: "optional" },
  },
};

/** Every form of field below `spec`; `status` for subresources and what a strategy resets. */
export const thingSchema: ObjectSchema = {
  name: "test.Thing",
  fields: {
    metadata: METADATA,
    spec: { number: 2, type: message(() => specSchema), presence: "always" },
    status: { number: 3, type: message(() => partSchema), presence: "optional" },
  },
};

export const thingKind: Kind = {
  group: "test.example",
  version: "v1",
  kind: "Thing",
  listKind: "ThingList",
  plural: "things",
  singular: "thing",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: thingSchema,
};
