/** Slow clients, over real sockets: each loses its connection, and others are served meanwhile. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { startOverloadedServer, TOKENS } from "../support/overloaded_server.ts";
import { FRAME, frame, openRaw, PREFACE, type RawConnection, requestFrame, until } from "../support/raw_http2.ts";

const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const SHORT = { unauthenticatedTimeoutMs: 2_000, idleTimeoutMs: 3_000, requestTimeoutMs: 3_000 };

for (
  const { name, bytes } of [
    { name: "nothing at all", bytes: [] },
    { name: "a ClientHello that stops", bytes: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01] },
  ]
) {
  test(`the listener ends a connection that sends ${name}`, async () => {
    await using overloaded = await startOverloadedServer(SHORT);
    const socket = connect(overloaded.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(Uint8Array.from(bytes));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    assert.equal(await overloaded.ask("/livez"), 200);
    await closed;
  });
}

test("the listener ends connections whose request never arrives, or arrives byte by byte", async () => {
  await using overloaded = await startOverloadedServer(SHORT);
  using slow = await openRaw(overloaded.port, "http/1.1");
  using silent = await openRaw(overloaded.port, "h2");
  await slow.write("GET /version HTTP/1.1\r\nhost: localhost\r\n");
  await silent.write(PREFACE);
  const trickle = setInterval(() => {
    if (!slow.isClosed()) slow.socket.write("x: y\r\n");
    if (!silent.isClosed()) silent.socket.write(frame(FRAME.ping, 0, 0, new Uint8Array(8)));
  }, 20);
  await Promise.all([slow.closed, silent.closed]);
  clearInterval(trickle);
  assert.equal(await overloaded.ask("/livez"), 200);
});

for (const protocol of ["h2", "http/1.1"] as const) {
  test(`the listener ends an endless body over ${protocol}, and it delays no other client`, async () => {
    await using overloaded = await startOverloadedServer({ requestTimeoutMs: 900 }, 1);
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
    if (protocol === "http/1.1") return await attacker.closed;
    const resets = () => attacker.frames().filter(({ type }) => type === FRAME.reset || type === FRAME.goaway).length;
    await until("a stream is ended", () => resets() > 0 || attacker.isClosed());
  });
}

for (
  const { who, token } of [{ who: "an unauthenticated client", token: "Bearer unknown" }, {
    who: "a user",
    token: undefined,
  }]
) {
  test(`the listener destroys the connection of ${who} that ignores a GOAWAY`, async () => {
    await using overloaded = await startOverloadedServer({ unauthenticatedTimeoutMs: 500, idleTimeoutMs: 500 });
    using stubborn = await openRaw(overloaded.port, "h2", true, true);
    await stubborn.write(PREFACE);
    await stubborn.write(requestFrame(1, "GET", "/version", { authorization: token ?? `Bearer ${TOKENS.honest}` }));
    await until("the client gets a GOAWAY", () => stubborn.frames().some(({ type }) => type === FRAME.goaway));
    // The client notices the end when it writes.
    const writing = setInterval(
      () => stubborn.isClosed() || stubborn.socket.write(frame(FRAME.ping, 0, 0, new Uint8Array(8))),
      50,
    );
    await until("it is cut off", () => stubborn.isClosed());
    clearInterval(writing);
  });
}

test("the listener closes an idle authenticated connection gracefully", async () => {
  await using overloaded = await startOverloadedServer(SHORT);
  using idle = await openRaw(overloaded.port, "h2");
  await idle.write(PREFACE);
  await idle.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${TOKENS.honest}` }));
  await idle.closed;
  assert.deepEqual(
    idle.frames().filter(({ type }) => type === FRAME.goaway).map(({ payload }) => payload.readUInt32BE(4)),
    [
      0,
    ],
  );
});

test("the listener ends an answer that the client does not read", async () => {
  await using overloaded = await startOverloadedServer({ requestTimeoutMs: 900 });
  using reader = await openRaw(overloaded.port, "h2");
  // With an empty window not a byte of the answer may be sent.
  await reader.write(PREFACE);
  await reader.write(frame(FRAME.settings, 0, 0, Uint8Array.of(0, 4, 0, 0, 0, 0)));
  await reader.write(requestFrame(1, "GET", "/openapi/v2", { authorization: `Bearer ${TOKENS.admin}` }));
  await until(
    "the stream is ended",
    () => reader.frames().some(({ type, stream }) => type === FRAME.reset && stream === 1),
  );
});

test("the listener ends the unauthenticated connections that are idle longest when there are many, and accepts an honest one", async () => {
  await using overloaded = await startOverloadedServer({ maxUnauthenticated: 20, unauthenticatedIdleMs: 1_000 });
  const idle = await Promise.all(Array.from({ length: 60 }, () => openRaw(overloaded.port, "h2")));
  await until("40 are gone", () => idle.filter((one) => one.isClosed()).length >= 40);
  assert.ok(idle.filter((one) => !one.isClosed()).length >= 19);
  assert.equal(await overloaded.ask("/livez"), 200);
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
