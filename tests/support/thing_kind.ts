/** A kind with every form of field. */
import { clusterWide, describeVersion } from "../../core/kube/kinds/kind.ts";
import {
  always,
  atomic,
  BOOL,
  INT32,
  keyedBy,
  map,
  omitempty,
  optional,
  required,
  set,
  STRING,
  TIME,
} from "../../core/kube/kinds/notation.ts";
import type { Kind } from "../../core/kube/schema.ts";

const { atomicMessage, kind, message } = describeVersion("test.example", "v1", "test");

const part = message("Part", "A part of a thing.", {
  name: required(1, STRING),
  value: omitempty(2, STRING),
  tags: omitempty(3, set(STRING)),
});

const pair = atomicMessage("Pair", "Two values that are owned as one.", {
  left: omitempty(1, STRING),
  right: omitempty(2, STRING),
});

const spec = message("Spec", "Every form of field.", {
  text: omitempty(1, STRING),
  count: optional(2, INT32),
  flag: optional(3, BOOL),
  at: optional(4, TIME),
  map: omitempty(5, map(STRING)),
  set: omitempty(6, set(STRING)),
  parts: omitempty(7, keyedBy(["name"], part)),
  atomicList: omitempty(8, atomic(STRING)),
  atomicMap: omitempty(9, { type: map(STRING), mapType: "atomic" }),
  pair: optional(10, pair),
  part: optional(11, part),
});

/** A kind with every form of field in `spec`, and a `status` for subresources and reset fields. */
export const thingKind: Kind = kind("Thing", clusterWide(), "A kind for tests.", {
  spec: always(2, spec),
  status: optional(3, part),
});
