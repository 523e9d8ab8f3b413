/** Event of the core group (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { INT32, message, MICRO_TIME, STRING, TIME } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";
import { objectReferenceSchema } from "./_references.ts";

/** A report of something that happened to an object; kept for a short time. */
export const eventSchema: ObjectSchema = {
  name: "io.k8s.api.core.v1.Event",
  description: "A report of something that happened to an object; kept for a short time.",
  fields: {
    metadata: { ...METADATA, required: true },
    involvedObject: {
      number: 2,
      type: message(() => objectReferenceSchema),
      presence: "always",
      required: true,
      description: "Object the event is about.",
    },
    reason: { number: 3, type: STRING, presence: "omitempty", description: "Short machine-readable cause." },
    message: { number: 4, type: STRING, presence: "omitempty", description: "What happened, in words." },
    source: {
      number: 5,
      type: message(() => eventSourceSchema),
      presence: "always",
      description: "Who reports the event.",
    },
    firstTimestamp: { number: 6, type: TIME, presence: "always", description: "When it was first seen." },
    lastTimestamp: { number: 7, type: TIME, presence: "always", description: "When it was last seen." },
    count: { number: 8, type: INT32, presence: "omitempty", description: "How often it was seen." },
    type: { number: 9, type: STRING, presence: "omitempty", description: "Normal or Warning." },
    eventTime: {
      number: 10,
      type: MICRO_TIME,
      presence: "always",
      description: "When it was first seen, with microseconds.",
    },
    series: {
      number: 11,
      type: message(() => eventSeriesSchema),
      presence: "optional",
      description: "The series this event belongs to.",
    },
    action: { number: 12, type: STRING, presence: "omitempty", description: "What was done or failed." },
    related: {
      number: 13,
      type: message(() => objectReferenceSchema),
      presence: "optional",
      description: "A second object that takes part.",
    },
    reportingComponent: {
      number: 14,
      type: STRING,
      presence: "always",
      description: "Controller that reports the event.",
    },
    reportingInstance: { number: 15, type: STRING, presence: "always", description: "Which copy of that controller." },
  },
};

/** `Event` of `v1`. */
export const eventKind: Kind = {
  group: "",
  version: "v1",
  kind: "Event",
  listKind: "EventList",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  categories: [],
  namespaced: true,
  schema: eventSchema,
};

/** Who reports an event. */
export const eventSourceSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.EventSource",
  description: "Who reports an event.",
  fields: {
    component: { number: 1, type: STRING, presence: "omitempty", description: "Name of the component." },
    host: { number: 2, type: STRING, presence: "omitempty", description: "Node it runs on." },
  },
};

/** Tells how an event goes on. */
export const eventSeriesSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.EventSeries",
  description: "Tells how an event goes on.",
  fields: {
    count: { number: 1, type: INT32, presence: "omitempty", description: "Occurrences so far." },
    lastObservedTime: { number: 2, type: MICRO_TIME, presence: "always", description: "When it was last seen." },
  },
};
