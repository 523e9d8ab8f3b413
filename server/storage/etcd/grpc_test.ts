import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer as createHttp1 } from "node:http";
import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createPlain, type Socket } from "node:net";
import { before, describe, test } from "node:test";
import { createSecureContext } from "node:tls";
import { createSystemClock } from "../../../cli/system.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { createIssuingCa, issueServing, type IssuingCa } from "../../../tests/support/issuing_ca.ts";
import { FRAME, frame as http2Frame } from "../../../tests/support/raw_http2.ts";
import { etcdError } from "./errors.ts";
import { GRPC_STATUS, GrpcChannel, GrpcError } from "./grpc.ts";

const DONE = { "grpc-status": "0" };

let ca: IssuingCa;
describe("a gRPC channel", () => {
  before(async () => {
    ca = await createIssuingCa(createSystemClock().now());
  });

  interface Listening extends AsyncDisposable {
    readonly port: number;
    /** Breaks all connections to the server. */
    break(): void;
  }

  async function listen(server: ReturnType<typeof createPlain> | Http2Server, host = "127.0.0.1"): Promise<Listening> {
    const sockets = new Set<{ destroy(): void }>();
    server.on("connection", (socket: { destroy(): void }) => sockets.add(socket));
    server.on("sessionError", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const breakAll = (): void => {
      for (const socket of sockets) socket.destroy();
    };
    return {
      port: (server.address() as AddressInfo).port,
      break: breakAll,
      async [Symbol.asyncDispose]() {
        breakAll();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  /** Makes one call and collects what it receives. */
  function call(channel: GrpcChannel, text: string, isOpen = false, onMessage: () => void = () => undefined) {
    const messages: string[] = [];
    const ends: (GrpcError | undefined)[] = [];
    const { promise, resolve } = Promise.withResolvers<GrpcError | undefined>();
    const running = channel.begin("/test/Call", Buffer.from(text), {
      onMessage(bytes) {
        messages.push(bytes.toString());
        onMessage();
      },
      onEnd(error) {
        ends.push(error);
        resolve(error);
      },
    }, isOpen);
    return { running, messages, ends, ended: promise };
  }

  function frame(text: string): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(Buffer.byteLength(text), 1);
    return Buffer.concat([head, Buffer.from(text)]);
  }

  /** Sends each part in a frame of its own. */
  function answer(stream: ServerHttp2Stream, parts: readonly Buffer[], trailers: Record<string, string>): void {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    const rest = parts.values();
    const next = (): void => {
      const { value: part } = rest.next();
      if (part === undefined) stream.end();
      else stream.write(part, next);
    };
    next();
  }

  /** A server that answers each call as its first message says. */
  function createGrpcServer(): Http2Server {
    const server = createServer();
    server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      stream.once("data", (bytes: Buffer) => {
        const text = bytes.subarray(5, 5 + bytes.readUInt32BE(1)).toString();
        const echo = () => answer(stream, [frame(`${headers[":path"]} ${headers["te"]} ${text}`)], DONE);
        // Like etcd, it answers when the caller has sent everything.
        if (text === "echo") stream.once("end", echo);
        if (text === "first") stream.once("data", (more: Buffer) => answer(stream, [frame("got "), more], DONE));
        if (text === "parts") {
          const all = Buffer.concat([frame("one"), frame(""), frame("x".repeat(100_000)), frame("two")]);
          const ends = [0, 3, 9, 60_000, all.length];
          answer(stream, ends.slice(1).map((end, index) => all.subarray(ends[index], end)), DONE);
        }
        if (text === "pieces") {
          const whole = frame("piece");
          answer(stream, [whole.subarray(0, 5), whole.subarray(5, 6), whole.subarray(6)], DONE);
        }
        if (text === "two") answer(stream, [Buffer.concat([frame("one"), frame("two")])], DONE);
        if (text === "silent") answer(stream, [], { "grpc-status": "5" });
        if (text === "refuse") {
          const status = { "grpc-status": "11", "grpc-message": "100%25 of %e2%82%ac is 50% more" };
          stream.respond({ ":status": 200, ...status }, { endStream: true });
        }
        if (text === "late") answer(stream, [frame("some")], { "grpc-status": "8", "grpc-message": "full" });
        if (text === "page") stream.respond({ ":status": 502 }, { endStream: true });
        if (text === "reset") stream.close(7);
        if (text === "leave") stream.session?.goaway();
      });
    });
    return server;
  }

  test("GrpcChannel makes calls over one connection, and joins the parts of messages", async () => {
    const server = createGrpcServer();
    let connections = 0;
    server.on("connection", () => connections++);
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const [echo, parts, pieces, refused, late, silent, page] = [
      "echo",
      "parts",
      "pieces",
      "refuse",
      "late",
      "silent",
      "page",
    ].map((text) => call(channel, text));
    assert.equal(await echo!.ended, undefined);
    assert.deepEqual(echo!.messages, ["/test/Call trailers echo"]);
    assert.equal(await parts!.ended, undefined);
    assert.deepEqual(parts!.messages, ["one", "", "x".repeat(100_000), "two"]);
    assert.equal(await pieces!.ended, undefined);
    assert.deepEqual(pieces!.messages, ["piece"]);
    assert.deepEqual(describe(await refused!.ended), [GRPC_STATUS.outOfRange, "100% of € is 50% more", false]);
    assert.deepEqual(describe(await late!.ended), [GRPC_STATUS.resourceExhausted, "full", false]);
    assert.deepEqual(describe(await silent!.ended), [GRPC_STATUS.notFound, "", false]);
    assert.deepEqual(describe(await page!.ended), [GRPC_STATUS.unknown, "the server answered with HTTP 502", false]);
    assert.equal(await call(channel, "echo").ended, undefined);
    assert.equal(connections, 1);
  });

  test("GrpcChannel sends further messages of an open call", async () => {
    const server = createGrpcServer();
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const open = call(channel, "first", true);
    await new Promise((resolve) => server.once("stream", (stream) => stream.once("data", resolve)));
    open.running.write(Buffer.from("second"));
    assert.equal(await open.ended, undefined);
    assert.deepEqual(open.messages, ["got ", "second"]);
  });

  test("GrpcChannel ends a cancelled call once, at the server too, and passes on no more of its messages", async () => {
    const server = createGrpcServer();
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const waiting = call(channel, "wait", true);
    const stream = await new Promise<ServerHttp2Stream>((resolve) => server.once("stream", resolve));
    const reset = new Promise<number>((resolve) => stream.once("close", () => resolve(stream.rstCode)));
    for (let count = 0; count < 2; count++) waiting.running.cancel();
    assert.equal(await reset, constants.NGHTTP2_CANCEL);
    assert.deepEqual(waiting.ends.map((error) => error?.status), [GRPC_STATUS.cancelled]);
    const first = call(channel, "two", false, () => first.running.cancel());
    assert.equal((await first.ended)?.status, GRPC_STATUS.cancelled);
    assert.equal(await call(channel, "echo").ended, undefined);
    assert.deepEqual([first.messages, first.ends.length], [["one"], 1]);
  });

  test("GrpcChannel.close() ends the running calls, and those that wait for a connection", async () => {
    const server = createGrpcServer();
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const running = call(channel, "wait");
    await new Promise<void>((resolve) => server.once("stream", () => resolve()));
    channel.close();
    assert.equal((await running.ended)?.status, GRPC_STATUS.unavailable);
    using other = createChannel(`http://127.0.0.1:${listening.port}`);
    const waiting = call(other, "echo");
    other.close();
    assert.deepEqual(describe(await waiting.ended)?.slice(2), [true]);
  });

  test("GrpcChannel reports which calls were not sent, and connects again", async () => {
    const server = createGrpcServer();
    let connections = 0;
    server.on("connection", () => connections++);
    const sessions: ServerHttp2Session[] = [];
    server.on("session", (session) => sessions.push(session));
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    assert.deepEqual(describe(await call(channel, "reset").ended)?.slice(2), [true]);
    const running = call(channel, "wait");
    await new Promise<void>((resolve) => server.once("stream", () => resolve()));
    listening.break();
    const broken = await running.ended;
    assert.deepEqual([broken?.status, broken?.isUnsent], [GRPC_STATUS.unavailable, false]);
    assert.equal(await call(channel, "echo").ended, undefined);
    const left = call(channel, "leave", true);
    // Until the server's GOAWAY arrives, calls use the old connection.
    const before = connections;
    await eventually("another connection", async () => {
      await call(channel, "echo").ended;
      return connections > before || undefined;
    });
    assert.equal(await call(channel, "echo").ended, undefined);
    const old = new Promise<void>((resolve) => sessions.at(-2)!.once("close", resolve));
    left.running.cancel();
    assert.equal((await left.ended)?.status, GRPC_STATUS.cancelled);
    // The end of the old connection does not affect the new one.
    await old;
    for (let count = 0; count < 3; count++) assert.equal(await call(channel, "echo").ended, undefined);
    assert.equal(connections, before + 1);
    await listening[Symbol.asyncDispose]();
    const refused = await eventually("a refused connection", async () => {
      const error = await call(channel, "echo").ended;
      return error?.isUnsent === true ? error : undefined;
    });
    assert.match(refused.message, /ECONNREFUSED/);
  });

  test("GrpcChannel connects again if the server refuses calls as soon as it is connected", async () => {
    let connections = 0;
    const server = createPlain((socket) => {
      connections++;
      socket.on("error", () => undefined).resume();
      socket.write(Buffer.concat([http2Frame(FRAME.settings, 0, 0), http2Frame(FRAME.goaway, 0, 0, Buffer.alloc(8))]));
    });
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    for (let count = 1; count <= 2; count++) {
      const error = await call(channel, "echo").ended;
      assert.deepEqual([error?.status, error?.isUnsent, connections], [GRPC_STATUS.unavailable, true, count]);
    }
  });

  test("GrpcChannel does not send a call that was cancelled before there was a connection", async () => {
    const server = createGrpcServer();
    let streams = 0;
    server.on("stream", () => streams++);
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const cancelled = call(channel, "echo");
    cancelled.running.cancel();
    assert.equal((await cancelled.ended)?.status, GRPC_STATUS.cancelled);
    assert.equal(await call(channel, "echo").ended, undefined);
    assert.equal(streams, 1);
  });

  test("GrpcChannel accepts no pushes, and lets the server send 4 MiB without an acknowledgement", async () => {
    const sent = Promise.withResolvers<readonly RawFrame[]>();
    let bytes = Buffer.alloc(0);
    const server = createPlain((socket) => {
      socket.on("error", () => undefined);
      socket.write(http2Frame(FRAME.settings, 0, 0));
      socket.on("data", (more: Buffer) => {
        bytes = Buffer.concat([bytes, more]);
        const frames = readFrames(bytes);
        if (frames.some(({ type }) => type === FRAME.headers)) sent.resolve(frames);
      });
    });
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const waiting = call(channel, "any");
    const frames = await sent.promise;
    waiting.running.cancel();
    const settings = new Map<number, number>();
    let windowBytes = 65_535;
    for (const { type, payload } of frames) {
      for (let at = 0; type === FRAME.settings && at < payload.length; at += 6) {
        settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
      }
      if (type === FRAME.windowUpdate) windowBytes += payload.readUInt32BE(0);
    }
    const { NGHTTP2_SETTINGS_ENABLE_PUSH: push, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE: initial } = constants;
    assert.deepEqual([settings.get(push), settings.get(initial), windowBytes], [0, 4_194_304, 4_194_304]);
  });

  for (const { scheme, port } of [{ scheme: "http", port: 80 }, { scheme: "https", port: 443 }]) {
    test(`GrpcChannel connects to port ${port} if an ${scheme} URL names none`, async () => {
      using timers = captureTimers();
      // No connection to the broadcast address is ever made.
      using channel = createChannel(`${scheme}://255.255.255.255`);
      assert.match((await call(channel, "any").ended)!.message, new RegExp(`255\\.255\\.255\\.255:${port}\\b`));
      assert.deepEqual(timers.pending, []);
    });
  }

  for (const { host, isSent } of [{ host: "localhost", isSent: true }, { host: "127.0.0.1", isSent: false }]) {
    test(`GrpcChannel ${isSent ? "sends" : "does not send"} ${host} as the server name of TLS`, async () => {
      const greeted = Promise.withResolvers<Buffer>();
      const server = createPlain((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", (hello: Buffer) => {
          greeted.resolve(hello);
          socket.destroy();
        });
      });
      await using listening = await listen(server);
      using channel = createChannel(`https://${host}:${listening.port}`);
      const error = await call(channel, "any").ended;
      assert.equal(error?.isUnsent, true);
      assert.doesNotMatch(error.message, /ECONNREFUSED/);
      assert.equal((await greeted.promise).includes(host), isSent);
    });
  }

  for (
    const { host, names, isNamed } of [
      { host: "127.0.0.1", names: { ipAddresses: ["127.0.0.1"] }, isNamed: true },
      { host: "localhost", names: { dnsNames: ["localhost"] }, isNamed: true },
      { host: "127.0.0.1", names: { ipAddresses: ["127.0.0.2"] }, isNamed: false },
      { host: "127.0.0.1", names: { dnsNames: ["localhost"] }, isNamed: false },
      { host: "localhost", names: { dnsNames: ["etcd-1.example.com"] }, isNamed: false },
      { host: "localhost", names: { ipAddresses: ["127.0.0.1"] }, isNamed: false },
    ]
  ) {
    test(`GrpcChannel ${isNamed ? "accepts" : "refuses"} a certificate for ${JSON.stringify(names)} at ${host}`, async () => {
      const { certificatePem: cert, keyPem: key } = await issueServing(ca, { dnsNames: [], ipAddresses: [], ...names });
      const server = createSecureServer({ key, cert });
      server.on("stream", (stream) => answer(stream, [], { "grpc-status": "0" }));
      await using listening = await listen(server);
      using channel = createChannel(`https://${host}:${listening.port}`);
      const error = await call(channel, "any").ended;
      if (isNamed) assert.equal(error, undefined);
      else {
        assert.match(etcdError("read", error).message, /certificate does not name the host/);
        assert.equal(error?.isUnsent, true);
      }
    });
  }

  test("GrpcChannel describes a server that does not speak HTTP/2, or not with TLS", async () => {
    const { certificatePem: cert, keyPem: key } = await issueServing(ca);
    const secure = createSecureServer({ key, cert });
    // Like an etcd with TLS, whose reset arrives before its alert.
    const resetting = createPlain((socket) => socket.once("data", () => socket.resetAndDestroy()));
    for (
      const { scheme, server, says } of [
        { scheme: "http", server: resetting, says: /does not answer as etcd's client port does$/ },
        {
          scheme: "https",
          server: createServer(),
          says: /it does not speak TLS|it ended the connection where TLS begins/,
        },
        { scheme: "http", server: secure, says: /does not answer as etcd's client port does$/ },
        { scheme: "http", server: createHttp1(), says: /does not answer as etcd's client port does$/ },
      ]
    ) {
      await using listening = await listen(server);
      using channel = createChannel(`${scheme}://127.0.0.1:${listening.port}`);
      const error = await call(channel, "any").ended;
      assert.match(etcdError("read", error).message, says);
      assert.equal(error?.isUnsent, true);
    }
  });

  test("GrpcChannel reports that a server requires a client certificate", async () => {
    const { certificatePem: cert, keyPem: key } = await issueServing(ca);
    const server = createSecureServer({ key, cert, ca: ca.caPem, requestCert: true, rejectUnauthorized: true });
    await using listening = await listen(server);
    using channel = createChannel(`https://127.0.0.1:${listening.port}`);
    const error = await call(channel, "any").ended;
    assert.equal(etcdError("read", error).message, "cannot read etcd: it wants a client certificate");
  });

  test("GrpcChannel gives up on a server that sends no settings within five seconds", async () => {
    using timers = captureTimers();
    const accepted = Promise.withResolvers<Socket>();
    await using listening = await listen(createPlain({ allowHalfOpen: true }, accepted.resolve));
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const waiting = call(channel, "any");
    const socket = await accepted.promise;
    const closed = new Promise<void>((resolve) => socket.on("error", () => undefined).once("end", resolve).resume());
    assert.deepEqual(timers.pending, [5_000]);
    timers.fire(5_000);
    const message = `connect ETIMEDOUT 127.0.0.1:${listening.port}`;
    assert.deepEqual(describe(await waiting.ended), [GRPC_STATUS.unavailable, message, true]);
    await closed;
    assert.deepEqual(timers.pending, []);
  });

  test("GrpcChannel pings an open connection every ten seconds, and breaks one that does not answer", async () => {
    using timers = captureTimers();
    const server = createGrpcServer();
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const echo = async () => assert.equal(await call(channel, "echo").ended, undefined);
    await echo();
    assert.deepEqual(timers.pending, [10_000]);
    timers.fire(10_000);
    assert.deepEqual(timers.pending, [10_000, 5_000]);
    await echo();
    assert.deepEqual(timers.pending, [10_000], "the server has answered the ping before the call");
    const running = call(channel, "wait");
    const streamed = new Promise<ServerHttp2Stream>((resolve) => server.once("stream", resolve));
    const closed = new Promise<void>((resolve) => void streamed.then(({ session }) => session!.once("close", resolve)));
    await streamed;
    timers.fire(10_000);
    timers.fire(5_000);
    assert.equal((await running.ended)?.status, GRPC_STATUS.unavailable);
    await closed;
    assert.deepEqual(timers.pending, []);
    await echo();
    channel.close();
    timers.fire(10_000);
  });

  /** Replaces the timers of this process by timers that only the test fires. */
  function captureTimers(): Disposable & { readonly pending: readonly number[]; fire(ms: number): void } {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    const timers = new Set<{ readonly ms: number; readonly run: () => void; readonly repeats: boolean }>();
    const start = (repeats: boolean) => (run: () => void, ms: number) => {
      const timer = { ms, run, repeats };
      timers.add(timer);
      return timer;
    };
    const clear = (timer: never) => void timers.delete(timer);
    const fake = { setTimeout: start(false), setInterval: start(true), clearTimeout: clear, clearInterval: clear };
    Object.assign(globalThis, fake);
    return {
      get pending() {
        return [...timers].map(({ ms }) => ms);
      },
      fire(ms) {
        const timer = [...timers].find((candidate) => candidate.ms === ms)!;
        if (!timer.repeats) timers.delete(timer);
        timer.run();
      },
      [Symbol.dispose]: () => void Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval }),
    };
  }

  interface RawFrame {
    readonly type: number;
    readonly payload: Buffer;
  }

  /** Reads the complete frames that a client has sent after its preface of 24 bytes. */
  function readFrames(bytes: Buffer): readonly RawFrame[] {
    const frames: RawFrame[] = [];
    for (let at = 24; at + 9 <= bytes.length;) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      frames.push({ type: bytes[at + 3]!, payload: bytes.subarray(at + 9, end) });
      at = end;
    }
    return frames;
  }

  function createChannel(server: string): GrpcChannel & Disposable {
    const channel = new GrpcChannel(new URL(server), createSecureContext({ ca: ca.caPem }));
    return Object.assign(channel, { [Symbol.dispose]: () => channel.close() });
  }

  function describe(error: GrpcError | undefined): readonly unknown[] | undefined {
    return error === undefined ? undefined : [error.status, error.message, error.isUnsent];
  }
});
