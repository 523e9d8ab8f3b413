import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer as createHttp1 } from "node:http";
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createPlain } from "node:net";
import { before, describe, test } from "node:test";
import { createSecureContext } from "node:tls";
import { createSystemClock } from "../../../cli/system.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { createIssuingCa, issueServing, type IssuingCa } from "../../../tests/support/issuing_ca.ts";
import { etcdError } from "./errors.ts";
import { GRPC_STATUS, GrpcChannel, GrpcError } from "./grpc.ts";

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
  function call(channel: GrpcChannel, text: string, isOpen = false) {
    const messages: string[] = [];
    const { promise, resolve } = Promise.withResolvers<GrpcError | undefined>();
    const running = channel.begin("/test/Call", Buffer.from(text), {
      onMessage: (bytes) => messages.push(bytes.toString()),
      onEnd: resolve,
    }, isOpen);
    return { cancel: () => running.cancel(), messages, ended: promise };
  }

  function frame(text: string): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(Buffer.byteLength(text), 1);
    return Buffer.concat([head, Buffer.from(text)]);
  }

  function answer(stream: ServerHttp2Stream, parts: readonly Buffer[], trailers: Record<string, string>): void {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    for (const part of parts) stream.write(part);
    stream.end();
  }

  /** A server that answers each call as its first message says. */
  function createGrpcServer(): Http2Server {
    const server = createServer();
    server.on("stream", (stream, headers) => {
      stream.on("error", () => undefined);
      stream.once("data", (bytes: Buffer) => {
        const text = bytes.subarray(5).toString();
        if (text === "echo") {
          answer(stream, [frame(`${headers[":path"]} ${headers["te"]} ${text}`)], { "grpc-status": "0" });
        }
        if (text === "parts") {
          const all = Buffer.concat([frame("one"), frame(""), frame("x".repeat(100_000)), frame("two")]);
          const parts = [all.subarray(0, 3), all.subarray(3, 9), all.subarray(9, 60_000), all.subarray(60_000)];
          answer(stream, parts, { "grpc-status": "0" });
        }
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
    const [echo, parts, refused, late, page] = ["echo", "parts", "refuse", "late", "page"].map((text) =>
      call(channel, text)
    );
    assert.equal(await echo!.ended, undefined);
    assert.deepEqual(echo!.messages, ["/test/Call trailers echo"]);
    assert.equal(await parts!.ended, undefined);
    assert.deepEqual(parts!.messages, ["one", "", "x".repeat(100_000), "two"]);
    assert.deepEqual(describe(await refused!.ended), [GRPC_STATUS.outOfRange, "100% of € is 50% more", false]);
    assert.deepEqual(describe(await late!.ended), [GRPC_STATUS.resourceExhausted, "full", false]);
    assert.deepEqual(describe(await page!.ended), [GRPC_STATUS.unknown, "the server answered with HTTP 502", false]);
    assert.equal(connections, 1);
  });

  test("GrpcChannel reports which calls were not sent, and connects again", async () => {
    const server = createGrpcServer();
    let connections = 0;
    server.on("connection", () => connections++);
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
    left.cancel();
    assert.equal((await left.ended)?.status, GRPC_STATUS.cancelled);
    await listening[Symbol.asyncDispose]();
    const refused = await eventually("a refused connection", async () => {
      const error = await call(channel, "echo").ended;
      return error?.isUnsent === true ? error : undefined;
    });
    assert.match(refused.message, /ECONNREFUSED/);
  });

  test("GrpcChannel does not send a call that was cancelled before there was a connection", async () => {
    const server = createGrpcServer();
    let streams = 0;
    server.on("stream", () => streams++);
    await using listening = await listen(server);
    using channel = createChannel(`http://127.0.0.1:${listening.port}`);
    const cancelled = call(channel, "echo");
    cancelled.cancel();
    assert.equal((await cancelled.ended)?.status, GRPC_STATUS.cancelled);
    assert.equal(await call(channel, "echo").ended, undefined);
    assert.equal(streams, 1);
  });

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

  function createChannel(server: string): GrpcChannel & Disposable {
    const channel = new GrpcChannel(new URL(server), createSecureContext({ ca: ca.caPem }));
    return Object.assign(channel, { [Symbol.dispose]: () => channel.close() });
  }

  function describe(error: GrpcError | undefined): readonly unknown[] | undefined {
    return error === undefined ? undefined : [error.status, error.message, error.isUnsent];
  }
});
