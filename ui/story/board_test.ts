import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { addToPicture, chooseMachines, describePicture, EMPTY_PICTURE, type Picture, StoryBoard } from "./board.ts";
import { STEP_IDS, type StoryEvent } from "./chapters.ts";

const CAST = { count: 1, victim: "node-1" };

function observe(promise: Promise<void>): () => boolean {
  let isDone = false;
  promise.then(() => isDone = true, () => {});
  return () => isDone;
}

test("StoryBoard waits for the button of the step that the user has seen", async () => {
  const board = new StoryBoard(createFakeClock(), "step");
  const [first = "authority", second = "server"] = STEP_IDS;
  const begun = observe(board.wait(new AbortController().signal));
  board.open();
  await settle();
  assert.equal(begun(), false);
  assert.equal(board.isWaiting, true);
  board.next(second);
  await settle();
  assert.equal(begun(), false, "the button of another step, as of a page that is old");
  board.next(first);
  await settle();
  assert.equal(begun(), true);

  board.show({ kind: "step", id: first, cast: CAST });
  // A second press of the same button does not begin the next step.
  board.next(first);
  const next = observe(board.wait(new AbortController().signal));
  await settle();
  assert.equal(next(), false);
});

test("StoryBoard begins by itself when the page is open, and continues after a pause", async () => {
  const clock = createFakeClock();
  const board = new StoryBoard(clock, "auto");
  const begun = observe(board.wait(new AbortController().signal));
  await settle();
  assert.equal(begun(), false);
  board.open();
  await settle();
  assert.equal(begun(), true);

  board.show({ kind: "step", id: "authority", cast: CAST });
  const next = observe(board.wait(new AbortController().signal));
  await settle();
  await clock.advance(7_000);
  await settle();
  assert.equal(next(), false);
  await clock.advance(1_000);
  await settle();
  assert.equal(next(), true);
});

test("StoryBoard stops waiting when the demo is interrupted", async () => {
  const board = new StoryBoard(createFakeClock(), "step");
  const interruption = new AbortController();
  const waiting = board.wait(interruption.signal);
  interruption.abort(new Error("interrupted"));
  await assert.rejects(waiting, /interrupted/);
});

test("StoryBoard keeps the printed lines with their step, and reports each change", () => {
  const board = new StoryBoard(createFakeClock(), "step");
  let changes = 0;
  board.listeners.add(() => changes += 1);
  board.show({ kind: "fact", text: "before the first step" });
  board.show({ kind: "step", id: "authority", cast: CAST });
  board.show({ kind: "command", text: "tlsboot ca init" });
  board.show({ kind: "step", id: "server", cast: CAST });
  board.show({ kind: "command", text: "tlsboot up" });
  assert.deepEqual(board.steps.map(({ lines }) => lines.map(({ text }) => text)), [["tlsboot ca init"], [
    "tlsboot up",
  ]]);
  assert.equal(changes, 5);
  assert.equal(board.version, 5);
  assert.equal(board.nextId, "request");
});

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

test("chooseMachines() always keeps the first machines, the last one and the sleeper", () => {
  const names = [...Array.from({ length: 200 }, (_, index) => `node-${index + 1}`), "sleeper"];
  const picture = draw(...names.map((machine): StoryEvent => ({ kind: "requested", machine })));
  const { shown, others } = chooseMachines(picture, 5);
  assert.deepEqual(shown.map(({ name }) => name), ["node-1", "node-2", "node-200", "sleeper"]);
  assert.equal(others, 197);
  assert.equal(chooseMachines(draw(...JOINED), 5).others, 0);
});
