import assert from "node:assert/strict";
import { test } from "node:test";
import { findPassedSocket } from "./socket.ts";

for (
  const { name, env, want } of [
    { name: "the one that was passed", env: { LISTEN_PID: "7", LISTEN_FDS: "1" }, want: 3 },
    { name: "none without systemd", env: {}, want: undefined },
    { name: "none of the process that started this one", env: { LISTEN_PID: "6", LISTEN_FDS: "1" }, want: undefined },
    { name: "none when none was passed", env: { LISTEN_PID: "7", LISTEN_FDS: "0" }, want: undefined },
  ]
) {
  test(`findPassedSocket() finds ${name}`, () => assert.equal(findPassedSocket({ env }, 7), want));
}

test("findPassedSocket() refuses two sockets", () => {
  assert.throws(() => findPassedSocket({ env: { LISTEN_PID: "7", LISTEN_FDS: "2" } }, 7), /passed 2 sockets/);
});
