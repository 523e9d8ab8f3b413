/**
 * Events in the form of `events.k8s.io/v1` (staging `k8s.io/api/events/v1/types.go`). Both groups serve the same stored
 * objects, which have the core form (`pkg/apis/events/v1/conversion.go`).
 */
import type { KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { omitEmpty } from "../../lib/record.ts";
import { describeVersion, namespaced } from "./kind.ts";
import { type Event, eventSourceSchema, type ObjectReference, objectReferenceSchema } from "./core_v1.ts";
import { always, INT32, MICRO_TIME, omitempty, optional, required, STRING, TIME } from "./notation.ts";

/** The prefix of the storage keys of Events in both groups, as in kube-apiserver's etcd. */
export const EVENTS_PREFIX = "/registry/events/";

const { kind, message } = describeVersion("events.k8s.io", "v1", "io.k8s.api.events.v1");

const eventV1Series = message("EventSeries", "Describes how often an event has been repeated.", {
  count: required(1, INT32, "Occurrences so far."),
  lastObservedTime: required(2, MICRO_TIME, "When it was last seen."),
});

/** A report of something that happened to an object, in the form of `events.k8s.io/v1`. */
export interface EventV1 extends KubeObject {
  readonly eventTime: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string | null };
  readonly reportingController?: string;
  readonly reportingInstance?: string;
  readonly action?: string;
  readonly reason?: string;
  readonly regarding: ObjectReference;
  readonly related?: ObjectReference;
  readonly note?: string;
  readonly type?: string;
  readonly deprecatedSource: { readonly component?: string; readonly host?: string };
  readonly deprecatedFirstTimestamp: string | null;
  readonly deprecatedLastTimestamp: string | null;
  readonly deprecatedCount?: number;
}

export const eventV1Kind: Kind = kind<EventV1>(
  "Event",
  namespaced("ev"),
  "A report of something that happened to an object; kept for a short time.",
  {
    eventTime: required(2, MICRO_TIME, "When it was first seen."),
    series: optional(3, eventV1Series, "The series this event belongs to."),
    reportingController: omitempty(4, STRING, "Controller that reports the event."),
    reportingInstance: omitempty(5, STRING, "Instance of that controller."),
    action: omitempty(6, STRING, "What was done or failed."),
    reason: omitempty(7, STRING, "Short machine-readable cause."),
    regarding: always(8, objectReferenceSchema, "Object that the event describes."),
    related: optional(9, objectReferenceSchema, "A second object that is involved."),
    note: omitempty(10, STRING, "What happened, in words."),
    type: omitempty(11, STRING, "Normal or Warning."),
    deprecatedSource: always(12, eventSourceSchema, "The component that reports the event, in the older form."),
    deprecatedFirstTimestamp: always(13, TIME, "When it was first seen, in the older form."),
    deprecatedLastTimestamp: always(14, TIME, "When it was last seen, in the older form."),
    deprecatedCount: omitempty(15, INT32, "How often it was seen, in the older form."),
  },
);

/** Converts an event to the canonical core form. */
export function toCoreEvent(event: EventV1): Event {
  return {
    metadata: event.metadata,
    involvedObject: event.regarding,
    ...omitEmpty({ reason: event.reason, message: event.note }),
    source: event.deprecatedSource,
    firstTimestamp: event.deprecatedFirstTimestamp,
    lastTimestamp: event.deprecatedLastTimestamp,
    ...omitEmpty({ count: event.deprecatedCount || undefined, type: event.type }),
    eventTime: event.eventTime,
    ...omitEmpty({ series: event.series && toCoreSeries(event.series), action: event.action, related: event.related }),
    reportingComponent: event.reportingController ?? "",
    reportingInstance: event.reportingInstance ?? "",
  };
}

/** Converts an event to the canonical form of `events.k8s.io/v1`. */
export function toEventV1(event: Event): EventV1 {
  return {
    metadata: event.metadata,
    eventTime: event.eventTime,
    ...omitEmpty({
      series: event.series && toV1Series(event.series),
      reportingController: event.reportingComponent,
      reportingInstance: event.reportingInstance,
      action: event.action,
      reason: event.reason,
    }),
    regarding: event.involvedObject,
    ...omitEmpty({ related: event.related, note: event.message, type: event.type }),
    deprecatedSource: event.source,
    deprecatedFirstTimestamp: event.firstTimestamp,
    deprecatedLastTimestamp: event.lastTimestamp,
    ...omitEmpty({ deprecatedCount: event.count || undefined }),
  };
}

/** Converts a series to the core form, which omits a count of zero. */
function toCoreSeries(series: NonNullable<EventV1["series"]>): NonNullable<Event["series"]> {
  return { ...omitEmpty({ count: series.count || undefined }), lastObservedTime: series.lastObservedTime ?? null };
}

/** Converts a series to the newer form, which writes a count of zero. */
function toV1Series(series: NonNullable<Event["series"]>): NonNullable<EventV1["series"]> {
  return { count: series.count ?? 0, lastObservedTime: series.lastObservedTime ?? null };
}
