/** `events.k8s.io/v1` events: the stored core events with newer field names and stricter rules (`pkg/registry/core/event`). */
import { type EventV1, toCoreEvent, toEventV1 } from "../../core/kube/events_v1.ts";
import type { Event } from "../../core/kube/core_v1.ts";
import { eventKind, eventV1Kind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { validateEventSense, validateEventUpdate, validateNewEvent } from "../../core/kube/validation/events.ts";
import { EVENT_COLUMNS, events, selectEventField } from "./events.ts";
import { createPlainStrategy, type Resource } from "./resource.ts";

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

/** Events as newer recorders write them. */
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
  strategy: createPlainStrategy<EventV1>({
    validateName: subdomainNameErrors,
    validateBeforeMetadata: (event) => validateEventSense(toCoreEvent(event), "events.k8s.io/v1"),
    validateCreate: (event) => validateNewEvent(toCoreEvent(event)),
    validateUpdate: (event, stored) => validateEventUpdate(toCoreEvent(event), toCoreEvent(stored), "events.k8s.io/v1"),
    createOnUpdate: true,
  }),
  subresources: [],
  deletion: { withoutPolicy: true },
};
