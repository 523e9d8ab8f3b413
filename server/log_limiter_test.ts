import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { limitRepeats } from "./log_limiter.ts";

const never = new AbortController().signal;

test("limitRepeats() writes the first lines of a flood, and then the number of all others", async () => {
  const clock = createFakeClock();
  const log = createMemoryLogger();
  const logger = limitRepeats(log, clock, never);
  for (let index = 0; index < 100_000; index++) logger.info("request refused", { index });
  assert.equal(log.entries.length, 20);
  await clock.advance(10_000);
  assert.equal(log.entries.length, 21);
  assert.deepEqual(log.entries.at(-1), {
    level: "info",
    message: "repeated lines omitted",
    fields: { repeated: "request refused", count: 99_980, seconds: 10 },
  });
});

test("limitRepeats() opens a new window after a while, and reports nothing when no line was omitted", async () => {
  const clock = createFakeClock();
  const log = createMemoryLogger();
  const logger = limitRepeats(log, clock, never);
  logger.warn("odd");
  await clock.advance(10_000);
  logger.warn("odd");
  assert.deepEqual(log.messages(), ["odd", "odd"]);
});

test("limitRepeats() counts a message across all scopes, but each message and level separately", () => {
  const log = createMemoryLogger();
  const logger = limitRepeats(log, createFakeClock(), never);
  for (let index = 0; index < 30; index++) logger.with({ index }).error("failed");
  logger.warn("failed");
  logger.error("something else");
  assert.equal(log.messages("error").length, 21);
  assert.equal(log.messages("warn").length, 1);
  assert.deepEqual(log.entries[0]?.fields, { index: 0 });
});

test("limitRepeats() reports the omitted lines when the server stops", async () => {
  const stopping = new AbortController();
  const log = createMemoryLogger();
  const logger = limitRepeats(log, createFakeClock(), stopping.signal);
  for (let index = 0; index < 30; index++) logger.info("again");
  stopping.abort(new Error("the server is stopping"));
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(log.entries.at(-1)?.fields["count"], 10);
});

test("limitRepeats() counts bytes as well as lines, and only the logged part of a long text", () => {
  const log = createMemoryLogger();
  const logger = limitRepeats(log, createFakeClock(), never);
  for (let index = 0; index < 30; index++) {
    logger.info("request refused", { path: "/a".repeat(30_000), error: new Error("b".repeat(30_000)) });
  }
  assert.equal(log.entries.length, 8);
});
