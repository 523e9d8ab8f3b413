import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { StoryBoard } from "./board.ts";
import { STEP_IDS } from "./chapters.ts";

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
  // The same button, pressed a second time, is not for the next step.
  board.next(first);
  const next = observe(board.wait(new AbortController().signal));
  await settle();
  assert.equal(next(), false);
});

test("StoryBoard begins by itself when the page is open, and goes on after a pause to read", async () => {
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

test("StoryBoard keeps what was printed with its step, and reports each change", () => {
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
