/** Event of `events.k8s.io/v1` (staging `k8s.io/api/events/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { INT32, message, MICRO_TIME, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";
import { eventSourceSchema, objectReferenceSchema } from "./core_v1.ts";

const eventV1Schema: ObjectSchema = {
  name: "io.k8s.api.events.v1.Event",
  description: "A report of something that happened to an object; kept for a short time.",
  fields: {
    metadata: METADATA,
    eventTime: {
      number: 2,
      type: MICRO_TIME,
      presence: "always",
      required: true,
      description: "When it was first seen.",
    },
    series: {
      number: 3,
      type: message(() => eventV1SeriesSchema),
      presence: "optional",
      description: "The series this event belongs to.",
    },
    reportingController: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "Controller that reports the event.",
    },
    reportingInstance: {
      number: 5,
      type: STRING,
      presence: "omitempty",
      description: "Which copy of that controller.",
    },
    action: { number: 6, type: STRING, presence: "omitempty", description: "What was done or failed." },
    reason: { number: 7, type: STRING, presence: "omitempty", description: "Short machine-readable cause." },
    regarding: {
      number: 8,
      type: message(() => objectReferenceSchema),
      presence: "always",
      description: "Object the event is about.",
    },
    related: {
      number: 9,
      type: message(() => objectReferenceSchema),
      presence: "optional",
      description: "A second object that takes part.",
    },
    note: { number: 10, type: STRING, presence: "omitempty", description: "What happened, in words." },
    type: { number: 11, type: STRING, presence: "omitempty", description: "Normal or Warning." },
    deprecatedSource: {
      number: 12,
      type: message(() => eventSourceSchema),
      presence: "always",
      description: "The component that reports the event, in the older form.",
    },
    deprecatedFirstTimestamp: {
      number: 13,
      type: TIME,
      presence: "always",
      description: "When it was first seen, in the older form.",
    },
    deprecatedLastTimestamp: {
      number: 14,
      type: TIME,
      presence: "always",
      description: "When it was last seen, in the older form.",
    },
    deprecatedCount: {
      number: 15,
      type: INT32,
      presence: "omitempty",
      description: "How often it was seen, in the older form.",
    },
  },
};

/** Describes the kind `Event` of `events.k8s.io/v1` for all codecs. */
export const eventV1Kind: Kind = {
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  listKind: "EventList",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: eventV1Schema,
};

const eventV1SeriesSchema: MessageSchema = {
  name: "io.k8s.api.events.v1.EventSeries",
  description: "Describes how often an event has been repeated.",
  fields: {
    count: { number: 1, type: INT32, presence: "always", required: true, description: "Occurrences so far." },
    lastObservedTime: {
      number: 2,
      type: MICRO_TIME,
      presence: "always",
      required: true,
      description: "When it was last seen.",
    },
  },
};
