import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createSystemRandom } from "../cli/system.ts";
import { createUiSessions, LINK_LIFETIME_MS, type UiSessions } from "./session.ts";

const HOUR_MS = 60 * 60 * 1000;

function open(sessions: UiSessions): string {
  const login = sessions.login(sessions.createKey());
  assert.equal(login.kind, "opened");
  return login.kind === "opened" ? login.cookie : "";
}

test("login() opens one session for a key, and a second use of the key ends it", () => {
  const sessions = createUiSessions({ clock: createFakeClock(), random: createSystemRandom() });
  const key = sessions.createKey();
  assert.ok(key.length >= 43, "256 bits in base64url");
  const login = sessions.login(key);
  assert.ok(login.kind === "opened");
  const session = sessions.find(login.cookie);
  assert.ok(session !== undefined);
  assert.deepEqual(sessions.login(key), { kind: "used" });
  assert.equal(sessions.find(login.cookie), undefined);
  assert.ok(session.signal.aborted);
  assert.deepEqual(sessions.login(key), { kind: "used" });
});

test("login() refuses unknown keys, and keys that were not used in time", async () => {
  const clock = createFakeClock();
  const sessions = createUiSessions({ clock, random: createSystemRandom() });
  const key = sessions.createKey();
  for (const wrong of ["", key.slice(1), `${key}A`]) assert.deepEqual(sessions.login(wrong), { kind: "unknown" });
  await clock.advance(LINK_LIFETIME_MS);
  assert.deepEqual(sessions.login(key), { kind: "expired" });
  assert.equal(sessions.login(sessions.createKey()).kind, "opened");
});

test("find() finds a session for twelve hours, until it is ended or sixteen others begin", async () => {
  const clock = createFakeClock();
  const sessions = createUiSessions({ clock, random: createSystemRandom() });
  const [first, second] = [open(sessions), open(sessions)];
  assert.equal(sessions.find(`${first}x`), undefined);
  sessions.end(second);
  assert.equal(sessions.find(second), undefined);
  for (let count = 0; count < 15; count++) open(sessions);
  assert.ok(sessions.find(first) !== undefined);
  const last = open(sessions);
  assert.equal(sessions.find(first), undefined);
  await clock.advance(12 * HOUR_MS);
  assert.equal(sessions.find(last), undefined);
});

test("isOwnForm() accepts the token of the session and no other one", () => {
  const sessions = createUiSessions({ clock: createFakeClock(), random: createSystemRandom() });
  const [one, other] = [sessions.find(open(sessions)), sessions.find(open(sessions))];
  assert.ok(one !== undefined && other !== undefined);
  assert.ok(sessions.isOwnForm(one, one.formToken));
  for (const token of ["", other.formToken, `${one.formToken} `]) assert.ok(!sessions.isOwnForm(one, token));
});
