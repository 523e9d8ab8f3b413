/**
 * Events as `events.k8s.io/v1` names their fields. Both groups show the same stored objects; the core form is the
 * stored one (`pkg/apis/events/v1/conversion.go`).
 */
import type { Event, ObjectReference } from "./core_v1.ts";
import type { KubeObject } from "./meta.ts";

/** The prefix of the storage keys of Events, of both groups, as in the etcd of kube-apiserver. */
export const EVENTS_PREFIX = "/registry/events/";

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

/** Converts an event to the canonical core form. */
export function toCoreEvent(event: EventV1): Event {
  return {
    metadata: event.metadata,
    involvedObject: event.regarding,
    ...text("reason", event.reason),
    ...text("message", event.note),
    source: event.deprecatedSource,
    firstTimestamp: event.deprecatedFirstTimestamp,
    lastTimestamp: event.deprecatedLastTimestamp,
    ...count("count", event.deprecatedCount),
    ...text("type", event.type),
    eventTime: event.eventTime,
    ...(event.series === undefined ? {} : { series: toCoreSeries(event.series) }),
    ...text("action", event.action),
    ...(event.related === undefined ? {} : { related: event.related }),
    reportingComponent: event.reportingController ?? "",
    reportingInstance: event.reportingInstance ?? "",
  };
}

/** Converts an event to the canonical form of `events.k8s.io/v1`. */
export function toEventV1(event: Event): EventV1 {
  return {
    metadata: event.metadata,
    eventTime: event.eventTime,
    ...(event.series === undefined ? {} : { series: toV1Series(event.series) }),
    ...text("reportingController", event.reportingComponent),
    ...text("reportingInstance", event.reportingInstance),
    ...text("action", event.action),
    ...text("reason", event.reason),
    regarding: event.involvedObject,
    ...(event.related === undefined ? {} : { related: event.related }),
    ...text("note", event.message),
    ...text("type", event.type),
    deprecatedSource: event.source,
    deprecatedFirstTimestamp: event.firstTimestamp,
    deprecatedLastTimestamp: event.lastTimestamp,
    ...count("deprecatedCount", event.count),
  };
}

/** Converts a series to the core form, which omits a count of zero. */
function toCoreSeries(series: NonNullable<EventV1["series"]>): NonNullable<Event["series"]> {
  return { ...count("count", series.count), lastObservedTime: series.lastObservedTime ?? null };
}

/** Converts a series to the newer form, which writes a count of zero. */
function toV1Series(series: NonNullable<Event["series"]>): NonNullable<EventV1["series"]> {
  return { count: series.count ?? 0, lastObservedTime: series.lastObservedTime ?? null };
}

function text<K extends string>(key: K, value: string | undefined): { readonly [P in K]?: string } {
  return (value === undefined || value === "" ? {} : { [key]: value }) as { readonly [P in K]?: string };
}

function count<K extends string>(key: K, value: number | undefined): { readonly [P in K]?: number } {
  return (value === undefined || value === 0 ? {} : { [key]: value }) as { readonly [P in K]?: number };
}
