/** Event of `events.k8s.io/v1` (staging `k8s.io/api/events/v1/types.go`). */
import type { EventV1 } from "../events_v1.ts";
import type { Kind } from "../schema.ts";
import { describeVersion, namespaced } from "./kind.ts";
import { eventSourceSchema, objectReferenceSchema } from "./core_v1.ts";
import { always, INT32, MICRO_TIME, omitempty, optional, required, STRING, TIME } from "./notation.ts";

const { kind, message } = describeVersion("events.k8s.io", "v1", "io.k8s.api.events.v1");

const eventV1Series = message("EventSeries", "Describes how often an event has been repeated.", {
  count: required(1, INT32, "Occurrences so far."),
  lastObservedTime: required(2, MICRO_TIME, "When it was last seen."),
});

export const eventV1Kind: Kind = kind<EventV1>(
  "Event",
  namespaced("ev"),
  "A report of something that happened to an object; kept for a short time.",
  {
    eventTime: required(2, MICRO_TIME, "When it was first seen."),
    series: optional(3, eventV1Series, "The series this event belongs to."),
    reportingController: omitempty(4, STRING, "Controller that reports the event."),
    reportingInstance: omitempty(5, STRING, "Which copy of that controller."),
    action: omitempty(6, STRING, "What was done or failed."),
    reason: omitempty(7, STRING, "Short machine-readable cause."),
    regarding: always(8, objectReferenceSchema, "Object the event is about."),
    related: optional(9, objectReferenceSchema, "A second object that takes part."),
    note: omitempty(10, STRING, "What happened, in words."),
    type: omitempty(11, STRING, "Normal or Warning."),
    deprecatedSource: always(12, eventSourceSchema, "The component that reports the event, in the older form."),
    deprecatedFirstTimestamp: always(13, TIME, "When it was first seen, in the older form."),
    deprecatedLastTimestamp: always(14, TIME, "When it was last seen, in the older form."),
    deprecatedCount: omitempty(15, INT32, "How often it was seen, in the older form."),
  },
);
