import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../kinds/core_v1.ts";
import { toCoreEvent, toEventV1 } from "../kinds/events_v1.ts";
import { formatFieldError } from "../status/field_error.ts";
import { type EventApi, validateEvent, validateEventUpdate, validateNewEvent } from "./events.ts";

const OLD: Event = {
  metadata: { name: "e", namespace: "default" },
  involvedObject: { kind: "Node", name: "n" },
  source: {},
  firstTimestamp: null,
  lastTimestamp: null,
  eventTime: null,
  reportingComponent: "",
  reportingInstance: "",
};
const NEW: Event = {
  ...OLD,
  reason: "Signed",
  message: "done",
  type: "Normal",
  eventTime: "2026-01-01T00:00:00.000000Z",
  action: "Sign",
  reportingComponent: "tlsboot/signer",
  reportingInstance: "i",
};
const ELSEWHERE = 'involvedObject.namespace: Invalid value: "": does not match event.namespace';

for (
  const { name, event, api, want } of [
    { name: "an old event", event: OLD, api: "v1", want: [] },
    {
      name: "an old event about nothing in a namespace",
      event: { ...OLD, metadata: { name: "e", namespace: "n" } },
      api: "v1",
      want: [ELSEWHERE],
    },
    {
      name: "an old event about another namespace",
      event: { ...OLD, involvedObject: { namespace: "m" } },
      api: "v1",
      want: ['involvedObject.namespace: Invalid value: "m": does not match event.namespace'],
    },
    { name: "a new event", event: NEW, api: "v1", want: [] },
    { name: "a strict event", event: NEW, api: "events.k8s.io/v1", want: [] },
    {
      name: "a new event in kube-system",
      event: { ...NEW, metadata: { name: "e", namespace: "kube-system" } },
      api: "v1",
      want: [],
    },
    {
      name: "an incomplete new event",
      event: { ...OLD, eventTime: NEW.eventTime },
      api: "v1",
      want: [
        "reportingComponent: Required value",
        'reportingComponent: Invalid value: "": name part must be non-empty',
        "reportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or " +
        "'.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', " +
        "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        "reportingInstance: Required value",
        "action: Required value",
        "reason: Required value",
      ],
    },
    {
      name: "texts that are too long",
      event: { ...NEW, action: "a".repeat(129), message: "m".repeat(1025) },
      api: "v1",
      want: [
        'action: Invalid value: "": can have at most 128 characters',
        'message: Invalid value: "": can have at most 1024 characters',
      ],
    },
    {
      name: "an old event through the strict group",
      event: { ...OLD, count: 1, firstTimestamp: "2026-01-01T00:00:00Z", source: { host: "h" } },
      api: "events.k8s.io/v1",
      want: [
        "eventTime: Required value",
        'type: Invalid value: "": has invalid value: ',
        'firstTimestamp: Invalid value: "": needs to be unset',
        'count: Invalid value: "": needs to be unset',
        'source: Invalid value: "": needs to be unset',
      ],
    },
    {
      name: "a series of one",
      event: { ...NEW, series: { count: 1 } },
      api: "events.k8s.io/v1",
      want: ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
    },
  ] as { name: string; event: Event; api: EventApi; want: string[] }[]
) {
  test(`a new event has ${want.length} faults: ${name}`, () => {
    const errors = [...validateEvent(event, api), ...(api === "v1" ? [] : validateNewEvent(event))];
    assert.deepEqual(errors.map(formatFieldError), want);
  });
}

test("validateEventUpdate() lets the strict group change the series only", () => {
  const series = { count: 2, lastObservedTime: "2026-01-01T00:00:01.000000Z" };
  assert.deepEqual(validateEventUpdate({ ...NEW, series }, NEW, "events.k8s.io/v1"), []);
  assert.deepEqual(
    validateEventUpdate({ ...NEW, message: "x", type: "Warning" }, NEW, "events.k8s.io/v1").map(formatFieldError),
    ['message: Invalid value: "x": field is immutable', 'type: Invalid value: "Warning": field is immutable'],
  );
  assert.deepEqual(validateEventUpdate({ ...NEW, message: "x" }, NEW, "v1"), []);
  assert.deepEqual(
    validateEventUpdate({ ...NEW, involvedObject: { name: "m" } }, NEW, "events.k8s.io/v1").map(formatFieldError),
    [
      'involvedObject: Invalid value: {"Kind":"","Namespace":"","Name":"m","UID":"","APIVersion":"",' +
      '"ResourceVersion":"","FieldPath":""}: field is immutable',
    ],
  );
});

test("toEventV1() and toCoreEvent() are inverse", () => {
  const event: Event = { ...NEW, count: 3, series: { count: 2, lastObservedTime: null }, related: { name: "r" } };
  assert.equal(JSON.stringify(toCoreEvent(toEventV1(event))), JSON.stringify(listFields(event)));
  assert.equal(toEventV1(event).note, "done");
  assert.equal(toEventV1(event).regarding.kind, "Node");
});

/** The fields in Go's order. */
function listFields(event: Event): unknown {
  const { metadata, involvedObject, reason, message, source, firstTimestamp, lastTimestamp, count, type } = event;
  const { eventTime, series, action, related, reportingComponent, reportingInstance } = event;
  return {
    metadata,
    involvedObject,
    reason,
    message,
    source,
    firstTimestamp,
    lastTimestamp,
    count,
    type,
    eventTime,
    series,
    action,
    related,
    reportingComponent,
    reportingInstance,
  };
}
