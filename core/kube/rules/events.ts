/**
 * The rules of events apart from metadata (`pkg/apis/core/validation/events.go`). `v1` only requires that an event is
 * consistent, `events.k8s.io/v1` is strict. Both check the core form, whose field names the errors show.
 */
import { SYSTEM_NAMESPACE } from "../meta.ts";
import type { Event, ObjectReference } from "../kinds/core_v1.ts";
import { type FieldError, invalid, requiredField } from "../status/field_error.ts";
import { qualifiedNameErrors } from "../names.ts";
import { byteLength } from "../../lib/go_text.ts";
import { validateImmutable } from "./meta_v1.ts";

/** The API through which an event is written. */
export type EventApi = "v1" | "events.k8s.io/v1";

const SHORT_TEXT_MAX_LENGTH = 128;
const MESSAGE_MAX_LENGTH = 1024;

/** Validates a new event of `events.k8s.io`; these faults are listed after those of its metadata. */
export function validateNewEvent(event: Event): FieldError[] {
  const errors = validateSeries(event);
  if (event.eventTime === null) errors.push(requiredField("eventTime"));
  const { type = "" } = event;
  if (type !== "Normal" && type !== "Warning") errors.push(invalid("type", "", `has invalid value: ${type}`));
  const unset = {
    firstTimestamp: event.firstTimestamp === null,
    lastTimestamp: event.lastTimestamp === null,
    count: (event.count ?? 0) === 0,
    source: (event.source.component ?? "") === "" && (event.source.host ?? "") === "",
  };
  for (const [field, isUnset] of Object.entries(unset)) {
    if (!isUnset) errors.push(invalid(field, "", "needs to be unset"));
  }
  return errors;
}

/** Validates a changed event apart from its metadata: through `events.k8s.io`, only the series may change. */
export function validateEventUpdate(event: Event, old: Event, api: EventApi): FieldError[] {
  const errors = validateEvent(event, api);
  if (api === "v1") return errors;
  if (validateImmutable(event.series, old.series, "series").length > 0) errors.push(...validateSeries(event));
  const fields: readonly (readonly [string, (of: Event) => unknown])[] = [
    ["involvedObject", (of) => internalReference(of.involvedObject)],
    ["reason", (of) => of.reason ?? ""],
    ["message", (of) => of.message ?? ""],
    ["source", (of) => ({ Component: of.source.component ?? "", Host: of.source.host ?? "" })],
    ["firstTimestamp", (of) => of.firstTimestamp],
    ["lastTimestamp", (of) => of.lastTimestamp],
    ["count", (of) => of.count ?? 0],
    // Upstream checks this field twice.
    ["reason", (of) => of.reason ?? ""],
    ["type", (of) => of.type ?? ""],
    ["eventTime", (of) => of.eventTime],
    ["action", (of) => of.action ?? ""],
    ["related", (of) => internalReference(of.related)],
    ["reportingController", (of) => of.reportingComponent],
    ["reportingInstance", (of) => of.reportingInstance],
  ];
  return [...errors, ...fields.flatMap(([field, of]) => validateImmutable(of(event), of(old), field))];
}

/**
 * Validates an event of either API; in `events.k8s.io`, these faults are listed before those of its metadata. An event
 * with `eventTime` is of the newer form and must be complete; of the older form, only the namespace is checked.
 */
export function validateEvent(event: Event, api: EventApi): FieldError[] {
  const namespace = event.metadata.namespace ?? "";
  const involved = event.involvedObject.namespace ?? "";
  const mismatch = invalid("involvedObject.namespace", involved, "does not match event.namespace");
  if (event.eventTime === null) {
    const isMatch = involved === "" ? namespace === "" || namespace === "default" : namespace === involved;
    return isMatch ? [] : [mismatch];
  }
  const errors = involved === "" && namespace !== "default" && namespace !== SYSTEM_NAMESPACE ? [mismatch] : [];
  const controllerField = api === "v1" ? "reportingComponent" : "reportingController";
  const controller = event.reportingComponent;
  if (controller === "") errors.push(requiredField(controllerField));
  errors.push(...qualifiedNameErrors(controller).map((text) => invalid(controllerField, controller, text)));
  for (const field of ["reportingInstance", "action", "reason"] as const) {
    const value = event[field] ?? "";
    if (value === "") errors.push(requiredField(field));
    errors.push(...validateLength(value, SHORT_TEXT_MAX_LENGTH, field));
  }
  return [...errors, ...validateLength(event.message ?? "", MESSAGE_MAX_LENGTH, "message")];
}

function validateLength(value: string, max: number, field: string): FieldError[] {
  return byteLength(value) > max ? [invalid(field, "", `can have at most ${max} characters`)] : [];
}

function validateSeries(event: Event): FieldError[] {
  if (event.series === undefined) return [];
  const errors: FieldError[] = [];
  if ((event.series.count ?? 0) < 2) errors.push(invalid("series.count", "", "should be at least 2"));
  if ((event.series.lastObservedTime ?? null) === null) errors.push(requiredField("series.lastObservedTime"));
  return errors;
}

/** Names the fields as Go's internal type does, which the error prints. */
function internalReference(reference: ObjectReference | undefined): unknown {
  if (reference === undefined) return null;
  const { kind = "", namespace = "", name = "", uid = "", apiVersion = "", resourceVersion = "", fieldPath = "" } =
    reference;
  return {
    Kind: kind,
    Namespace: namespace,
    Name: name,
    UID: uid,
    APIVersion: apiVersion,
    ResourceVersion: resourceVersion,
    FieldPath: fieldPath,
  };
}
