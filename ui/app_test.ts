import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { sendEvents } from "./app.ts";
import type { UiData } from "./data.ts";

test("sendEvents() sends one event a second, however often the objects change", async () => {
  const clock = createFakeClock();
  let version = 0;
  const data = {
    describeVersion: () => `${version}`,
    waitForChange: () => Promise.reject(new Error("an unseen change must not wait for another one")),
  } as unknown as UiData;
  const end = new AbortController();
  let events = 0;
  const send = (text: string): void => {
    if (text.startsWith("event: changed")) events += 1;
    version += 1;
  };
  const sending = sendEvents({ data, clock, live: ["requests"], seen: "0" }, send, end.signal);
  await clock.advance(9_999);
  assert.equal(events, 10);
  end.abort(new Error("the page is closed"));
  await assert.rejects(sending, /the page is closed/);
});
