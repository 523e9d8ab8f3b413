/** Tests floods over real sockets: the client loses its connection, the log stays short, and others are served. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { GUARD_LIMITS } from "../../server/connections/connection_guard.ts";
import { CLOSE_GRACE_MS } from "../../server/connections/open_connections.ts";
import { settle } from "../support/fake_clock.ts";
import { type OverloadedServer, startOverloadedServer, TOKENS } from "../support/overloaded_server.ts";
import {
  FRAME,
  frame,
  openHeadersFrame,
  openRaw,
  PREFACE,
  type RawConnection,
  requestFrame,
  resetFrame,
  until,
} from "../support/raw_http2.ts";
import { CSRS } from "./requests.ts";
import { CONTINUATION, resetRequests } from "./floods.ts";

/** More bytes than both kernels buffer for a connection that is not read. */
const FAR_TOO_MANY_BYTES = 16_777_216;

/** More turns of the event loop than the server needs to read a piece. */
const TURNS_OF_A_PIECE = 1_000;

/** Writes pieces until the connection is closed, which must happen before it has accepted too many bytes. */
async function floodUntilClosed(attacker: RawConnection, piece: (index: number) => Buffer): Promise<void> {
  let accepted = 0;
  for (let index = 0; !attacker.isClosed(); index++) {
    assert.ok(accepted < FAR_TOO_MANY_BYTES, `${accepted} bytes were accepted`);
    const bytes = piece(index);
    await attacker.write(bytes);
    accepted += bytes.length;
    // The server in the same process needs a turn of the event loop to read.
    await setImmediate();
  }
}

/** Writes pieces until the connection is closed or accepts no more, before it has accepted too many bytes. */
async function floodUntilUnread(attacker: RawConnection, piece: Buffer): Promise<void> {
  let isAccepted = true;
  for (let accepted = 0; isAccepted && !attacker.isClosed(); accepted += piece.length) {
    assert.ok(accepted < FAR_TOO_MANY_BYTES, `${accepted} bytes were accepted`);
    isAccepted = await Promise.race([
      attacker.write(piece).then(() => true),
      settle(TURNS_OF_A_PIECE).then(() => false),
    ]);
    // The client needs a turn to notice that the connection is closed.
    await setImmediate();
  }
}

async function assertServed(overloaded: OverloadedServer): Promise<void> {
  assert.equal(await overloaded.ask("/livez"), 200);
  assert.equal(await overloaded.ask("/version", TOKENS.honest), 200);
}

test("a flood of CONTINUATION frames ends its connection early", async () => {
  await using overloaded = await startOverloadedServer();
  using attacker = await openRaw(overloaded.port, "h2");
  await attacker.write(PREFACE);
  await attacker.write(openHeadersFrame(1));
  await floodUntilClosed(attacker, () => CONTINUATION);
  await assertServed(overloaded);
});

test("a flood of headers ends its connection over HTTP/1.1", async () => {
  await using overloaded = await startOverloadedServer();
  using attacker = await openRaw(overloaded.port, "http/1.1");
  await attacker.write("GET /version HTTP/1.1\r\nhost: localhost\r\n");
  await floodUntilClosed(attacker, (index) => Buffer.from(`x-${index}: ${"y".repeat(1_000)}\r\n`));
  await assertServed(overloaded);
});

for (
  const { what, first, codes } of [
    { what: "a watch", first: "", codes: ["HTTP/1.1 200"] },
    {
      what: "a pipelined watch",
      first: "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n",
      codes: ["HTTP/1.1 200", "HTTP/1.1 200"],
    },
  ]
) {
  test(`malformed bytes during ${what} over HTTP/1.1 end the connection without another answer`, async () => {
    await using overloaded = await startOverloadedServer();
    using watcher = await openRaw(overloaded.port, "http/1.1");
    const answers = () => watcher.received().toString("latin1").match(/HTTP\/1\.1 \d+/g);
    await watcher.write(
      `${first}GET ${CSRS}?watch=1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKENS.admin}\r\n\r\n`,
    );
    await until("the watch has begun", () => answers()?.length === codes.length);
    await watcher.write("not a request\r\n\r\n");
    await watcher.closed;
    assert.deepEqual(answers(), codes);
    await assertServed(overloaded);
  });
}

test("rapid resets of an unauthenticated client end its connection", async () => {
  await using overloaded = await startOverloadedServer();
  using attacker = await openRaw(overloaded.port, "h2");
  await attacker.write(PREFACE);
  // The server checks the token of each stream.
  await floodUntilClosed(attacker, (turn) => resetRequests(turn, CSRS, { authorization: "Bearer unknown" }));
  await assertServed(overloaded);
});

test("a user may cancel 900 watches at once on one connection, as informers do", async () => {
  await using overloaded = await startOverloadedServer();
  using informer = await openRaw(overloaded.port, "h2");
  await informer.write(PREFACE);
  const headers = { authorization: `Bearer ${TOKENS.admin}` };
  await informer.write(requestFrame(1, "GET", "/version", headers));
  await until("it is authenticated", () => informer.frames().some(({ type }) => type === FRAME.data));
  for (let turn = 0; turn < 9; turn++) {
    await informer.write(resetRequests(turn, `${CSRS}?watch=1`, headers));
  }
  await informer.write(requestFrame(1_803, "GET", "/version", headers));
  await until(
    "it is still served",
    () => informer.frames().some(({ type, stream }) => type === FRAME.data && stream === 1_803),
  );
});

test("a user who keeps cancelling watches loses the connection, and the next one much sooner", async () => {
  await using overloaded = await startOverloadedServer({ userCancellationBurst: 300, userCancellationsPerSecond: 1 });
  const headers = { authorization: `Bearer ${TOKENS.admin}` };
  const cancelUntilClosed = async (): Promise<number> => {
    using attacker = await openRaw(overloaded.port, "h2");
    await attacker.write(PREFACE);
    const begun = () => attacker.frames().filter(({ type }) => type === FRAME.headers).length;
    let streams = 0;
    while (!attacker.isClosed()) {
      assert.ok(streams < 800, "the connection is not closed");
      const ids = Array.from({ length: 50 }, (_, index) => 2 * (streams + index) + 1);
      await attacker.write(Buffer.concat(ids.map((id) => requestFrame(id, "GET", `${CSRS}?watch=1`, headers))));
      streams += ids.length;
      await until("all have begun", () => attacker.isClosed() || begun() >= streams);
      await attacker.write(Buffer.concat(ids.map(resetFrame)));
      await setImmediate();
    }
    return streams;
  };
  const first = await cancelUntilClosed();
  assert.ok(first > 400, `${first} streams`);
  const second = await cancelUntilClosed();
  assert.ok(second > 100 && second <= 250, `${second} streams after ${first}`);
  const reasons = overloaded.logger.entries.map(({ fields }) => fields["reason"]);
  assert.equal(reasons.filter((reason) => reason === "too many cancelled requests").length, 2);
  // The same user on another connection and all other users are served.
  assert.equal(await overloaded.ask("/version", TOKENS.admin), 200);
  await assertServed(overloaded);
});

for (
  const { what, flood, isRefused } of [
    { what: "SETTINGS", flood: frame(FRAME.settings, 0, 0), isRefused: true },
    { what: "PING", flood: frame(FRAME.ping, 0, 0, new Uint8Array(8)), isRefused: "Deno" in globalThis },
  ]
) {
  test(`the server stops reading a flood of ${what} whose answers are not read, and ends its connection`, async () => {
    await using overloaded = await startOverloadedServer();
    using attacker = await openRaw(overloaded.port, "h2", false);
    await attacker.write(PREFACE);
    await floodUntilUnread(attacker, Buffer.concat(Array.from({ length: 5_000 }, () => flood)));
    // Deno refuses both at once, Node only SETTINGS. Node stops reading PING, and then the guard ends the connection.
    const { logger, passUntil } = overloaded;
    const isEnded = () => logger.entries.some(({ fields }) => fields["reason"] === "unauthenticated timeout");
    if (!isRefused) {
      await passUntil("the guard ends the connection", GUARD_LIMITS.unauthenticatedTimeoutMs, isEnded);
      await passUntil("its socket is destroyed", CLOSE_GRACE_MS, () => attacker.isClosed());
    }
    await until("the connection is closed", () => attacker.isClosed());
    assert.equal(isEnded(), !isRefused);
    await assertServed(overloaded);
  });
}

test("an HTTP/2 connection with a bad token gets only one answer", async () => {
  await using overloaded = await startOverloadedServer();
  using attacker = await openRaw(overloaded.port, "h2");
  await attacker.write(PREFACE);
  await attacker.write(requestFrame(1, "GET", CSRS, { authorization: "Bearer unknown" }));
  await until("the client gets a GOAWAY", () => attacker.frames().some(({ type }) => type === FRAME.goaway));
  await attacker.closed;
  // An authenticated client may send more requests.
  using known = await openRaw(overloaded.port, "h2");
  await known.write(PREFACE);
  for (const stream of [1, 3, 5]) {
    await known.write(requestFrame(stream, "GET", "/version", { authorization: `Bearer ${TOKENS.honest}` }));
    await until("answer", () => known.frames().some((one) => one.type === FRAME.data && one.stream === stream));
  }
});

test("five hundred bad tokens cause few log lines, and no token is logged", async () => {
  await using overloaded = await startOverloadedServer();
  using attacker = await openRaw(overloaded.port, "http/1.1");
  for (let index = 0; index < 500; index++) {
    const token = index % 2 === 0 ? `wrong-${index}` : `abcdef.${String(index).padStart(16, "0")}`;
    await attacker.write(`GET ${CSRS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`);
  }
  await until("all are answered", () => attacker.received().toString().split("HTTP/1.1 401").length === 501);
  const lines = overloaded.logger.messages().filter((message) => /refused/.test(message));
  assert.ok(lines.length > 0 && lines.length <= 40, `${lines.length} lines`);
  assert.doesNotMatch(JSON.stringify(overloaded.logger.entries), /wrong-|0000000/);
  await assertServed(overloaded);
});
