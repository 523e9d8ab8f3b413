/**
 * Events, which recorders write and `kubectl describe` shows. The same stored objects are served as core `v1` and as
 * `events.k8s.io/v1` (`pkg/registry/core/event`). The server itself records an Event when it refuses a
 * suspicious attempt by a client.
 */
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import { eventKind, eventV1Kind } from "../../core/kube/kinds/mod.ts";
import { validateEvent, validateEventUpdate, validateNewEvent } from "../../core/kube/rules/events.ts";
import { type Column, type Resource, sinceColumn, STANDARD_VERBS, textColumn } from "./resource.ts";
import { type EventV1, toCoreEvent, toEventV1 } from "../../core/kube/kinds/events_v1.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { formatMicroTime, formatTime } from "../../core/kube/meta.ts";
import { getErrorMessage } from "../../core/errors.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { createUid, toStorageKey } from "./registry.ts";
import type { Storage } from "../storage/storage.ts";
import { encodeHex } from "../../core/lib/encodings.ts";

const REFERENCE_FIELDS: readonly string[] = [
  "involvedObject.kind",
  "involvedObject.namespace",
  "involvedObject.name",
  "involvedObject.uid",
  "involvedObject.apiVersion",
  "involvedObject.resourceVersion",
  "involvedObject.fieldPath",
];

/** The columns of both versions; a table shows the stored form. */
const EVENT_COLUMNS: readonly Column<Event>[] = [
  sinceColumn("Last Seen", "Time since the event was last seen.", getLastSeen),
  textColumn("Type", "Normal or Warning.", (event) => event.type ?? ""),
  textColumn("Reason", "Why it happened, in one word.", (event) => event.reason ?? ""),
  textColumn("Object", "What it happened to.", formatObject),
  textColumn("Subobject", "The part it happened to.", (event) => event.involvedObject.fieldPath ?? "", 1),
  textColumn("Source", "Who reports it.", formatSource, 1),
  textColumn("Message", "What happened.", (event) => (event.message ?? "").trim()),
  sinceColumn("First Seen", "Time since the event was first seen.", getFirstSeen, 1),
  textColumn(
    "Count",
    "How often it was seen.",
    (event) => event.series?.count ?? (event.count === undefined || event.count === 0 ? 1 : event.count),
    1,
  ),
  { ...textColumn("Name", "The name of the event.", (event) => event.metadata.name ?? "", 1), format: "name" },
];

/** Core `v1` events, which expire an hour after their last write. */
export const events: Resource<Event> = {
  kind: eventKind,
  uncached: true,
  verbs: STANDARD_VERBS,
  columns: EVENT_COLUMNS,
  selectableFields: [...REFERENCE_FIELDS, "reason", "reportingComponent", "source", "type"],
  selectField: selectEventField,
  strategy: {
    anyMetadata: true,
    anyFinalizer: true,
    validateCreate: (event) => validateEvent(event, "v1"),
    validateUpdate: (event, stored) => validateEventUpdate(event, stored, "v1"),
    createOnUpdate: true,
  },
  deletion: { withoutPolicy: true },
};

/** Returns the value of a field by its name in core `v1`. */
function selectEventField(event: Event, field: string): string {
  switch (field) {
    case "reason":
      return event.reason ?? "";
    case "reportingComponent":
      return event.reportingComponent;
    case "source":
      return event.source.component ?? event.reportingComponent;
    case "type":
      return event.type ?? "";
    default: {
      const key = field.slice("involvedObject.".length) as keyof Event["involvedObject"];
      return event.involvedObject[key] ?? "";
    }
  }
}

function getFirstSeen(event: Event): string | null {
  return event.firstTimestamp ?? event.eventTime;
}

function getLastSeen(event: Event): string | null {
  if (event.series !== undefined) return event.series.lastObservedTime ?? null;
  return event.lastTimestamp ?? getFirstSeen(event);
}

function formatObject(event: Event): string {
  const { kind = "", name = "" } = event.involvedObject;
  return name === "" ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`;
}

function formatSource(event: Event): string {
  const { component = event.reportingComponent, host = event.reportingInstance } = event.source;
  return host === "" ? component : `${component}, ${host}`;
}

/** The core `v1` names of the selectable fields (`pkg/apis/events/v1/conversion.go`). */
const CORE_FIELD: Readonly<Record<string, string>> = {
  reason: "reason",
  "regarding.kind": "involvedObject.kind",
  "regarding.namespace": "involvedObject.namespace",
  "regarding.name": "involvedObject.name",
  "regarding.uid": "involvedObject.uid",
  "regarding.apiVersion": "involvedObject.apiVersion",
  "regarding.resourceVersion": "involvedObject.resourceVersion",
  "regarding.fieldPath": "involvedObject.fieldPath",
  reportingController: "reportingComponent",
  type: "type",
};

/** Events in `events.k8s.io/v1`, the version that newer recorders write. */
export const eventsV1: Resource<EventV1> = {
  kind: eventV1Kind,
  uncached: true,
  // Every object below the prefix of events has passed the strategy of one of the two versions.
  conversion: { kind: eventKind, toStored: toCoreEvent, fromStored: (stored) => toEventV1(stored as Event) },
  verbs: events.verbs,
  columns: EVENT_COLUMNS.map((column) =>
    "since" in column
      ? { ...column, since: (event) => column.since(toCoreEvent(event)) }
      : { ...column, cell: (event) => column.cell(toCoreEvent(event)) }
  ),
  selectableFields: Object.keys(CORE_FIELD),
  selectField: (event, field) => selectEventField(toCoreEvent(event), CORE_FIELD[field] ?? ""),
  strategy: {
    validateName: subdomainNameErrors,
    validateBeforeMetadata: (event) => validateEvent(toCoreEvent(event), "events.k8s.io/v1"),
    validateCreate: (event) => validateNewEvent(toCoreEvent(event)),
    validateUpdate: (event, stored) => validateEventUpdate(toCoreEvent(event), toCoreEvent(stored), "events.k8s.io/v1"),
    createOnUpdate: true,
  },
  deletion: { withoutPolicy: true },
};

export interface ServerEventDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Creates the Event somewhere other than in the storage. */
  readonly createEvent?: ((event: Event) => Promise<unknown>) | undefined;
}

export interface ServerEvent {
  readonly about: Event["involvedObject"] & { readonly name: string };
  /** The namespace of the Event: that of the object, or `default` for an object without one. */
  readonly namespace: string;
  readonly reason: string;
  readonly message: string;
  /** What the server did, such as `Authenticating`. */
  readonly action: string;
}

/** Records a warning. A failure is only logged, because it must not change the answer to a client. */
export async function recordServerEvent(deps: ServerEventDeps, event: ServerEvent): Promise<void> {
  const { storage, clock, random, logger } = deps;
  const { about, namespace, reason, message, action } = event;
  const now = clock.now();
  const name = `${about.name}.${encodeHex(random.bytes(8))}`;
  const object: Event = {
    metadata: { name, namespace, uid: createUid(random), creationTimestamp: formatTime(now) },
    involvedObject: about,
    reason,
    message,
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    type: "Warning",
    eventTime: formatMicroTime(now),
    action,
    reportingComponent: "tlsboot",
    reportingInstance: "tlsboot",
  };
  const key = toStorageKey(events, namespace, name);
  const { createEvent = (stored) => storage.create(key, storedForm(eventKind.schema, stored)) } = deps;
  await createEvent(object).catch((error: unknown) => {
    logger.warn("event cannot be written", { about: about.name, reason: getErrorMessage(error) });
  });
}
