import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoryEvent } from "./chapters.ts";
import { addToPicture, chooseMachines, describePicture, EMPTY_PICTURE, type Picture } from "./picture.ts";

const END = new Date("2027-11-28T12:00:00Z");

function draw(...events: readonly StoryEvent[]): Picture {
  return events.reduce(addToPicture, EMPTY_PICTURE);
}

const JOINED: readonly StoryEvent[] = [
  { kind: "authority", name: "tlsboot-ca" },
  { kind: "serving", url: "https://127.0.0.1:6443" },
  { kind: "requested", machine: "node-1" },
  { kind: "approved", machine: "node-1", by: "person" },
  { kind: "issued", machine: "node-1", notAfter: END },
];

for (
  const { name, events, want } of [
    { name: "nothing", events: [], want: "There is no certificate authority yet. There is no server yet." },
    {
      name: "a pending request",
      events: JOINED.slice(0, 3),
      want: "The certificate authority is tlsboot-ca. The API server runs. Requests: 1 pending. node-1: only a token.",
    },
    {
      name: "a certificate, and a thief who watches",
      events: [...JOINED, { kind: "copied", machine: "node-1" }, { kind: "watching" }],
      want:
        "The certificate authority is tlsboot-ca. The API server runs. Requests: 1 issued. The signer has issued 1 " +
        "certificate. node-1: valid until 2027-11-28. A thief watches all requests.",
    },
    {
      name: "a revocation",
      events: [...JOINED, { kind: "copied", machine: "node-1" }, { kind: "revoked", machine: "node-1" }, {
        kind: "cutOff",
        afterMs: 20,
      }],
      want:
        "The certificate authority is tlsboot-ca. The API server runs. Requests: 1 issued. The signer has issued 1 " +
        "certificate. node-1: certificate revoked. The thief is locked out.",
    },
    {
      name: "a refused request and a machine that is off",
      events: [...JOINED, { kind: "refused", requester: "mallory" }, { kind: "switchedOff", machine: "node-1" }, {
        kind: "stopped",
      }],
      want: "The certificate authority is tlsboot-ca. The API server has stopped. Requests: 1 issued, 1 refused. The " +
        "signer has issued 1 certificate. node-1: switched off, valid until 2027-11-28.",
    },
  ] satisfies readonly { name: string; events: readonly StoryEvent[]; want: string }[]
) {
  test(`describePicture() describes ${name}`, () => assert.equal(describePicture(draw(...events)), want));
}

test("addToPicture() changes the newest request of a machine that renews, and counts its certificates", () => {
  const picture = draw(
    ...JOINED,
    { kind: "requested", machine: "node-1" },
    { kind: "approved", machine: "node-1", by: "rule" },
  );
  assert.deepEqual(picture.requests, [
    { name: "node-1", state: "approved", by: "rule" },
    { name: "node-1", state: "issued", by: "person" },
  ]);
  const renewed = addToPicture(picture, { kind: "issued", machine: "node-1", notAfter: END });
  assert.deepEqual(renewed.machines.map(({ certificates }) => certificates), [2]);
  assert.equal(renewed.issued, 2);
});

test("chooseMachines() keeps the first machines, the last one and the sleeper, however many there are", () => {
  const names = [...Array.from({ length: 200 }, (_, index) => `node-${index + 1}`), "sleeper"];
  const picture = draw(...names.map((machine): StoryEvent => ({ kind: "requested", machine })));
  const { shown, others } = chooseMachines(picture, 5);
  assert.deepEqual(shown.map(({ name }) => name), ["node-1", "node-2", "node-200", "sleeper"]);
  assert.equal(others, 197);
  assert.equal(chooseMachines(draw(...JOINED), 5).others, 0);
});
