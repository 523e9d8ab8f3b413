/** Tests slow clients over real sockets: each loses its connection while others are served. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { GUARD_LIMITS } from "../../server/connections/connection_guard.ts";
import { CLOSE_GRACE_MS } from "../../server/connections/open_connections.ts";
import { startOverloadedServer, TOKENS } from "../support/overloaded_server.ts";
import { FRAME, frame, openRaw, PREFACE, type RawConnection, requestFrame, until } from "../support/raw_http2.ts";
import { WHOAMI } from "./requests.ts";

const PING = frame(FRAME.ping, 0, 0, new Uint8Array(8));

function hasFrame(client: RawConnection, wanted: number): boolean {
  return client.frames().some(({ type }) => type === wanted);
}

for (
  const { name, bytes } of [
    { name: "nothing", bytes: [] },
    { name: "a ClientHello that stops", bytes: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01] },
  ]
) {
  test(`the listener ends a connection that sends ${name}`, async () => {
    await using overloaded = await startOverloadedServer();
    const socket = connect(overloaded.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(Uint8Array.from(bytes));
    socket.resume();
    assert.equal(await overloaded.ask("/livez"), 200);
    await overloaded.passUntil("the connection is closed", GUARD_LIMITS.unauthenticatedTimeoutMs, () => socket.closed);
  });
}

test("the listener ends connections whose request never arrives, or arrives byte by byte", async () => {
  await using overloaded = await startOverloadedServer();
  using slow = await openRaw(overloaded.port, "http/1.1");
  using silent = await openRaw(overloaded.port, "h2");
  await slow.write("GET /version HTTP/1.1\r\nhost: localhost\r\n");
  await silent.write(PREFACE);
  for (let ms = 1_000; ms < GUARD_LIMITS.unauthenticatedTimeoutMs; ms += 1_000) {
    await slow.write("x: y\r\n");
    await silent.write(PING);
    await overloaded.clock.advance(1_000);
  }
  assert.ok(!slow.isClosed() && !silent.isClosed(), "they are not closed early");
  await overloaded.clock.advance(1_000);
  await Promise.all([slow.closed, silent.closed]);
  assert.equal(await overloaded.ask("/livez"), 200);
});

for (const protocol of ["h2", "http/1.1"] as const) {
  test(`the listener ends an endless body over ${protocol} without delaying other clients`, async () => {
    await using overloaded = await startOverloadedServer({}, 1);
    using attacker = await openRaw(overloaded.port, protocol);
    const headers = { authorization: `Bearer ${TOKENS.attacker}`, "content-type": "application/json" };
    if (protocol === "h2") {
      await attacker.write(PREFACE);
      for (let stream = 1; stream < 100; stream += 2) {
        await attacker.write(requestFrame(stream, "POST", WHOAMI, headers, true));
      }
    } else {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      await attacker.write(`POST ${WHOAMI} HTTP/1.1\r\nhost: localhost\r\n${lines}content-length: 1000\r\n\r\n{`);
    }
    // Both users share one seat.
    assert.equal(await overloaded.ask("/version", TOKENS.honest), 200);
    await overloaded.passUntil("a stream is ended", GUARD_LIMITS.requestTimeoutMs, () =>
      attacker.isClosed() ||
      protocol === "h2" && [FRAME.reset, FRAME.goaway].some((type) => hasFrame(attacker, type)));
  });
}

for (
  const { who, token, goawayMs, endMs } of [
    // A refused client gets its GOAWAY with the answer.
    {
      who: "an unauthenticated client",
      token: "unknown",
      goawayMs: 0,
      endMs: GUARD_LIMITS.unauthenticatedTimeoutMs + CLOSE_GRACE_MS,
    },
    { who: "a user", token: TOKENS.honest, goawayMs: GUARD_LIMITS.idleTimeoutMs, endMs: CLOSE_GRACE_MS },
  ]
) {
  test(`the listener destroys the connection of ${who} that ignores a GOAWAY`, async () => {
    await using overloaded = await startOverloadedServer();
    using stubborn = await openRaw(overloaded.port, "h2", true, true);
    await stubborn.write(PREFACE);
    await stubborn.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${token}` }));
    await until("the client is answered", () => hasFrame(stubborn, FRAME.data));
    await overloaded.passUntil("the client gets a GOAWAY", goawayMs, () => hasFrame(stubborn, FRAME.goaway));
    await overloaded.passUntil("it is cut off", endMs, () => {
      // The client notices the end when it writes.
      if (!stubborn.isClosed()) stubborn.socket.write(PING);
      return stubborn.isClosed();
    });
  });
}

test("the listener closes an idle authenticated connection gracefully", async () => {
  await using overloaded = await startOverloadedServer();
  using idle = await openRaw(overloaded.port, "h2");
  await idle.write(PREFACE);
  await idle.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${TOKENS.honest}` }));
  await until("the client is answered", () => hasFrame(idle, FRAME.data));
  await overloaded.passUntil("the connection is closed", GUARD_LIMITS.idleTimeoutMs, () => idle.isClosed());
  const codes = idle.frames().filter(({ type }) => type === FRAME.goaway).map(({ payload }) => payload.readUInt32BE(4));
  assert.deepEqual(codes, [0]);
});

test("the listener ends an answer that the client does not read", async () => {
  await using overloaded = await startOverloadedServer();
  using reader = await openRaw(overloaded.port, "h2");
  // With an empty window, no byte of the answer's body may be sent.
  await reader.write(PREFACE);
  await reader.write(frame(FRAME.settings, 0, 0, Uint8Array.of(0, 4, 0, 0, 0, 0)));
  await reader.write(requestFrame(1, "GET", "/openapi/v2", { authorization: `Bearer ${TOKENS.admin}` }));
  await until("the answer has begun", () => hasFrame(reader, FRAME.headers));
  await overloaded.passUntil(
    "the stream is ended",
    GUARD_LIMITS.requestTimeoutMs,
    () => reader.frames().some(({ type, stream }) => type === FRAME.reset && stream === 1),
  );
});

test("the listener closes the longest idle connections at the limit of unauthenticated ones, and accepts a new client", async () => {
  await using overloaded = await startOverloadedServer({ maxUnauthenticated: 20 });
  const idle = await Promise.all(Array.from({ length: 60 }, () => openRaw(overloaded.port, "h2")));
  await overloaded.clock.advance(GUARD_LIMITS.unauthenticatedIdleMs);
  const countClosed = (): number => idle.filter((one) => one.isClosed()).length;
  await until("40 are gone", () => countClosed() >= 40);
  assert.equal(await overloaded.ask("/livez"), 200);
  assert.equal(countClosed(), 40);
  for (const one of idle) one[Symbol.dispose]();
});

test("the listener closes an idle connection for a new one at the limit of connections", async () => {
  await using overloaded = await startOverloadedServer({ maxConnections: 30 });
  const idle: RawConnection[] = [];
  for (let index = 0; index < 100; index++) idle.push(await openRaw(overloaded.port, "h2"));
  assert.equal(await overloaded.ask("/livez"), 200);
  await until("70 are gone", () => idle.filter((one) => one.isClosed()).length >= 70);
  for (const one of idle) one[Symbol.dispose]();
});
