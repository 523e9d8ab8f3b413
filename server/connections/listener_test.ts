import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { AppError } from "../../core/errors.ts";
import { createSystemClock } from "../../cli/system.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createIssuingCa, issueServing, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { ADMIN } from "../../tests/support/test_app.ts";
import { REAUTHENTICATION_INTERVAL_MS } from "../authn/reauthentication.ts";
import { type Server, type ServerOptions, startServer } from "../server.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";
import { openSqliteStorage } from "../storage/sqlite/sqlite_storage.ts";
import { createFakeClock, createSkippingClock } from "../../tests/support/fake_clock.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { memoryServerOptions } from "../../tests/support/memory_server.ts";
import { FRAME, frame, openRaw, PREFACE, requestFrame, resetFrame, until } from "../../tests/support/raw_http2.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { listen, type ServingPair } from "./listener.ts";

// The dates of certificates follow the machine's clock, because TLS stacks use no other.
const clock = createSystemClock();
const NOW = clock.now();
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const LARGE_MAPS = "/api/v1/namespaces/large/configmaps";
const BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const TESTER_BINDING = {
  metadata: { name: "tester" },
  subjects: [{ kind: "User", name: "tester", apiGroup: "rbac.authorization.k8s.io" }],
  roleRef: { kind: "ClusterRole", name: "cluster-admin", apiGroup: "rbac.authorization.k8s.io" },
};
const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

let ca: IssuingCa;
let serving: ServingPair;
let server: Server;

describe("a listener", () => {
  before(async () => {
    ca = await createIssuingCa(NOW);
    serving = await issueServing(ca);
    server = await start();
    const send = createSender(server);
    await send(BINDINGS, TESTER_BINDING);
    await send("/api/v1/namespaces", { metadata: { name: "large" } });
    await send(LARGE_MAPS, { metadata: { name: "large" }, data: { a: "x".repeat(400_000) } });
    const csr = await buildCsr();
    for (let index = 0; index < 300; index++) {
      await send(CSRS, { ...csr, metadata: { name: `big-${index}`, annotations: { filler: "x".repeat(500) } } });
    }
  });

  after(() => server[Symbol.asyncDispose]());

  /** Returns a function that creates an object as an administrator. */
  function createSender(target: Server): (path: string, body: object) => Promise<void> {
    const transport = target.transportFor(ADMIN, "test");
    const quiet = new AbortController().signal;
    return async (path, body) => {
      const answer = await transport.send({
        method: "POST",
        path,
        headers: { "content-type": "application/json" },
        body,
      }, quiet);
      for await (const _ of answer.body) { /* read to the end */ }
      assert.equal(answer.status, 201);
    };
  }

  function start(edit: Partial<ServerOptions> = {}): Promise<Server> {
    return startServer(memoryServerOptions(clock, { serving, clientCaPem: ca.caPem, ...edit }));
  }

  interface Credentials {
    readonly cert?: string;
    readonly key?: string;
  }

  /** A client certificate of a CA for `tester`. */
  async function createClient(authority: IssuingCa, notAfter?: Date): Promise<Credentials> {
    const key = await generatePrivateKey("ecdsa-p256");
    const cert = await authority.issue({
      subject: { commonName: "tester", organizations: ["dev"] },
      publicKeyDer: key.publicKeyDer(),
      ...(notAfter === undefined ? {} : { notAfter }),
    });
    return { cert, key: key.toPem() };
  }

  /** Sends one request over HTTP/1.1. */
  function http1(
    port: number,
    method: string,
    path: string,
    options: Credentials & { readonly body?: string; readonly headers?: Record<string, string>; readonly ca?: string } =
      {},
  ): Promise<{
    code: number;
    headers: Record<string, string | string[] | undefined>;
    rawHeaders: readonly string[];
    body: Buffer;
  }> {
    const { body, headers = {}, ...tls } = options;
    const agent = new Agent({ keepAlive: false });
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port,
          method,
          path,
          agent,
          ca: ca.caPem,
          ...tls,
          headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", reject);
          answer.on(
            "end",
            () =>
              resolve({
                code: answer.statusCode ?? 0,
                headers: answer.headers,
                rawHeaders: answer.rawHeaders,
                body: Buffer.concat(chunks),
              }),
          );
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }

  /** One request over a session of HTTP/2. */
  function http2(
    session: ClientHttp2Session,
    path: string,
    headers: Record<string, string> = {},
  ): Promise<{ code: number; headers: IncomingHttpHeaders; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const stream = session.request({ ":path": path, ...headers });
      let code = 0;
      let answered: IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      stream.on("response", (answer) => {
        code = Number(answer[":status"]);
        answered = answer;
      });
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => resolve({ code, headers: answered, body: Buffer.concat(chunks) }));
      stream.end();
    });
  }

  async function openSession(port: number, credentials: Credentials): Promise<ClientHttp2Session> {
    const session = connect(`https://127.0.0.1:${port}`, { ca: ca.caPem, ...credentials });
    await new Promise<void>((resolve, reject) => {
      session.once("connect", () => resolve());
      session.once("error", reject);
    });
    return session;
  }

  function closeSession(session: ClientHttp2Session): Promise<void> {
    // After a 401 the server closes the session.
    if (session.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      session.once("close", () => resolve());
      session.close();
    });
  }

  test("a client certificate of the CA identifies the user in its subject", async () => {
    const me = await http1(server.port, "POST", WHOAMI, { ...await createClient(ca), body: "{}" });
    assert.equal(me.code, 201);
    const { status } = JSON.parse(me.body.toString());
    assert.equal(status.userInfo.username, "tester");
    assert.deepEqual(status.userInfo.groups, ["dev", "system:authenticated"]);
    assert.match(status.userInfo.extra["authentication.kubernetes.io/credential-id"][0], /^X509SHA256=[0-9a-f]{64}$/);
  });

  test("a connection without a client certificate has no user", async () => {
    assert.equal((await http1(server.port, "GET", "/version")).code, 200);
    assert.equal((await http1(server.port, "GET", CSRS)).code, 403);
  });

  test("a client certificate of another CA, or an expired one, gets 401 and does not break the handshake", async () => {
    const other = await createIssuingCa(NOW, "another-ca");
    assert.equal((await http1(server.port, "GET", "/version", await createClient(other))).code, 401);
    const expired = await createClient(ca, new Date(NOW.getTime() - 60_000));
    assert.equal((await http1(server.port, "GET", "/version", expired)).code, 401);
  });

  test("HTTP/2 and HTTP/1.1 send each value of Vary on its own line", async () => {
    const credentials = await createClient(ca);
    const { rawHeaders } = await http1(server.port, "GET", "/openapi/v2", credentials);
    const lines = rawHeaders.flatMap((name, index) => name.toLowerCase() === "vary" ? [rawHeaders[index + 1]] : []);
    assert.deepEqual(lines, ["Accept-Encoding", "Accept"]);
    const session = await openSession(server.port, credentials);
    assert.equal((await http2(session, "/openapi/v2")).headers["vary"], "Accept-Encoding, Accept");
    await closeSession(session);
  });

  test("HTTP/2 and HTTP/1.1 answer with the same large list, compressed for clients that accept it", async () => {
    const credentials = await createClient(ca);
    const plain = await http1(server.port, "GET", CSRS, credentials);
    assert.equal(plain.code, 200);
    assert.ok(plain.body.length > 131_072);
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(JSON.parse(plain.body.toString()).items.length, 300);
    const zipped = await http1(server.port, "GET", CSRS, { ...credentials, headers: { "accept-encoding": "gzip" } });
    assert.equal(zipped.headers["content-encoding"], "gzip");
    assert.equal(zipped.headers["vary"], "Accept-Encoding");
    assert.ok(gunzipSync(zipped.body).equals(plain.body));
    const session = await openSession(server.port, credentials);
    const over2 = await http2(session, CSRS);
    assert.equal(over2.code, 200);
    assert.ok(over2.body.equals(plain.body));
    await closeSession(session);
  });

  test("one HTTP/2 session carries many requests at once", async () => {
    const session = await openSession(server.port, await createClient(ca));
    const paths = Array.from({ length: 100 }, (_, index) => index % 10 === 0 ? CSRS : `${CSRS}/big-${index}`);
    const answers = await Promise.all(paths.map((path) => http2(session, path)));
    assert.deepEqual(new Set(answers.map(({ code }) => code)), new Set([200]));
    await closeSession(session);
  });

  for (
    const { what, path } of [{ what: "lists", path: LARGE_MAPS }, { what: "objects", path: `${LARGE_MAPS}/large` }]
  ) {
    test(`one HTTP/2 session carries a hundred large ${what} that are read late`, async () => {
      const session = await openSession(server.port, await createClient(ca));
      const open = (count: number) => Array.from({ length: count }, () => session.request({ ":path": path }));
      const early = open(90);
      await Promise.all(early.map((stream) => once(stream, "response")));
      // The session must have room for more requests while it holds what these answers have written.
      const streams = [...early, ...open(10)];
      await Promise.all(streams.slice(90).map((stream) => once(stream, "response")));
      const lengths = await Promise.all(streams.map(async (stream) => {
        let length = 0;
        for await (const chunk of stream) length += (chunk as Buffer).length;
        return length;
      }));
      assert.equal(new Set(lengths).size, 1);
      assert.ok(lengths[0]! > 400_000, `${lengths[0]} bytes`);
      await closeSession(session);
    });
  }

  test("the headers of a watch arrive before its first event", async () => {
    const session = await openSession(server.port, await createClient(ca));
    const stream = session.request({ ":path": `${CSRS}?watch=1&fieldSelector=metadata.name%3Dnobody` });
    const code = await new Promise((resolve) => stream.once("response", (answer) => resolve(answer[":status"])));
    assert.equal(code, 200);
    stream.close();
    await closeSession(session);
  });

  test("HEAD is answered without a body over HTTP/2 and HTTP/1.1", async () => {
    const credentials = await createClient(ca);
    const session = await openSession(server.port, credentials);
    const answers = [
      await http2(session, "/version", { ":method": "HEAD" }),
      await http1(server.port, "HEAD", "/version", credentials),
    ];
    for (const { code, headers, body } of answers) {
      assert.deepEqual([code, body.length, Number(headers["content-length"]) > 100], [405, 0, true]);
    }
    await closeSession(session);
  });

  test("a stream that its client resets with NO_ERROR does not keep the connection open", async () => {
    for (const method of ["GET", "POST"]) {
      using connection = await openRaw(server.port, "h2");
      const reset = frame(FRAME.reset, 0, 1, Buffer.alloc(4));
      await connection.write(Buffer.concat([PREFACE, requestFrame(1, method, "/livez", {}, method === "POST"), reset]));
      // The server closes it, because an unauthenticated client gets one answer.
      await connection.closed;
    }
  });

  test("a body is no longer kept after the answer, even if its client does not read it", async () => {
    const ended = Promise.withResolvers<unknown>();
    await using listener = await listen({
      ...{ bindAddress: "127.0.0.1", port: 0, serving, clientCaPem: ca.caPem, clock, logger: createMemoryLogger() },
      answer({ readBody }) {
        readBody(() => true).catch(ended.resolve);
        return Promise.resolve({ status: 429, headers: {}, body: Buffer.from("too many requests") });
      },
    });
    using connection = await openRaw(listener.port, "h2");
    const noWindow = frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));
    const body = frame(FRAME.data, 0, 1, Buffer.from("a"));
    await connection.write(Buffer.concat([PREFACE, noWindow, requestFrame(1, "POST", "/", {}, true), body]));
    assert.match(String(await ended.promise), /only a part of the body/);
  });

  test("pipelined requests are served one after another, and not after the end of their connection", async () => {
    const begun: string[] = [];
    const disconnected = Promise.withResolvers<void>();
    await using listener = await listen({
      ...{ bindAddress: "127.0.0.1", port: 0, serving, clientCaPem: ca.caPem, clock, logger: createMemoryLogger() },
      answer({ target, signal }) {
        begun.push(target);
        if (target === "/1") return Promise.resolve({ status: 200, headers: {}, body: undefined });
        return new Promise(() => signal.addEventListener("abort", () => disconnected.resolve()));
      },
    });
    using connection = await openRaw(listener.port, "http/1.1");
    await connection.write([1, 2, 3].map((path) => `GET /${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
    await until("the second request has begun", () => begun.length > 1);
    connection.socket.destroy();
    await disconnected.promise;
    assert.deepEqual(begun, ["/1", "/2"]);
  });

  test("the signal of a request aborts when its client resets the stream", async () => {
    const disconnected = Promise.withResolvers<void>();
    await using listener = await listen({
      ...{ bindAddress: "127.0.0.1", port: 0, serving, clientCaPem: ca.caPem, clock, logger: createMemoryLogger() },
      answer({ method, signal }) {
        assert.equal(method, "HEAD");
        return new Promise(() => signal.addEventListener("abort", () => disconnected.resolve()));
      },
    });
    using connection = await openRaw(listener.port, "h2");
    await connection.write(Buffer.concat([PREFACE, requestFrame(1, "HEAD", "/")]));
    await connection.write(resetFrame(1));
    await disconnected.promise;
  });

  test("dot segments of a path reach the API, which refuses them", async () => {
    const answer = await http1(server.port, "GET", `${CSRS}/..`, await createClient(ca));
    assert.equal(answer.code, 400);
    assert.equal(JSON.parse(answer.body.toString()).message, "Name parameter invalid: \"..\": may not be '..'");
  });

  test("a body of 3 MiB and one byte gets 413, with a declared length and in chunks", async () => {
    const credentials = await createClient(ca);
    const body = "x".repeat(3_145_729);
    const declared = await http1(server.port, "POST", CSRS, {
      ...credentials,
      body,
      headers: { "content-length": String(body.length) },
    });
    assert.equal(declared.code, 413);
    const chunked = await http1(server.port, "POST", CSRS, {
      ...credentials,
      body,
      headers: { "transfer-encoding": "chunked" },
    });
    assert.equal(chunked.code, 413);
  });

  test("setServing() changes the certificate of new connections only", async () => {
    await using own = await start();
    const credentials = await createClient(ca);
    const session = await openSession(own.port, credentials);
    const other = await createIssuingCa(NOW, "next-ca");
    own.setServing(await issueServing(other));
    assert.equal((await http2(session, "/version")).code, 200);
    await closeSession(session);
    assert.equal((await http1(own.port, "GET", "/version", { ca: other.caPem })).code, 200);
    await assert.rejects(http1(own.port, "GET", "/version"));
    // The client CA does not change.
    assert.equal((await http1(own.port, "POST", WHOAMI, { ...credentials, ca: other.caPem, body: "{}" })).code, 201);
  });

  test("setClientCa() changes the CA of the client certificates that new connections accept", async () => {
    await using own = await start();
    const next = await createIssuingCa(NOW, "next-ca");
    const credentials = await createClient(next);
    assert.equal((await http1(own.port, "POST", WHOAMI, { ...credentials, body: "{}" })).code, 401);
    own.setClientCa(`${ca.caPem}${next.caPem}`);
    assert.equal((await http1(own.port, "POST", WHOAMI, { ...credentials, body: "{}" })).code, 201);
    const before = await createClient(ca);
    assert.equal((await http1(own.port, "POST", WHOAMI, { ...before, body: "{}" })).code, 201);

    // The removal of a CA also affects open connections.
    const session = await openSession(own.port, before);
    assert.equal((await http2(session, "/version")).code, 200);
    own.setClientCa(next.caPem);
    assert.equal((await http2(session, "/version")).code, 401);
    await closeSession(session);
  });

  test("removing a CA ends open watches over both protocols, with a store in SQLite", async () => {
    const fake = createFakeClock(NOW);
    await using folder = await createTempFolder();
    await using storage = await openSqliteStorage({ path: folder.join("tlsboot.db"), clock: fake });
    await using own = await start({ clock: fake, storage });
    const key = await generatePrivateKey("ecdsa-p256");
    const subject = { commonName: "jane", organizations: ["system:masters"] };
    const jane = { cert: await ca.issue({ subject, publicKeyDer: key.publicKeyDer() }), key: key.toPem() };
    const path = `${CSRS}?watch=1&timeoutSeconds=9000000`;
    const session = await openSession(own.port, jane);
    const stream = session.request({ ":path": path });
    await new Promise((resolve) => stream.once("response", resolve));
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({
        host: "127.0.0.1",
        port: own.port,
        path,
        servername: "localhost",
        ca: ca.caPem,
        agent: new Agent({ keepAlive: false }),
        ...jane,
      }, resolve);
      sent.once("error", reject).end();
    });
    const response = await answered;
    const ended = Promise.all([
      new Promise((resolve) => stream.once("end", resolve).resume()),
      new Promise((resolve) => response.once("end", resolve).resume()),
    ]);
    const next = await createIssuingCa(NOW, "next-ca");
    own.setClientCa(next.caPem);
    await fake.advance(REAUTHENTICATION_INTERVAL_MS);
    await ended;
    await closeSession(session);
  });

  test("a request that gets no seat in time gets 429 with its headers over HTTP/2", async () => {
    const fake = createFakeClock(NOW);
    const [taken, freed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using storage = createMemoryStorage({ clock: fake });
    const list = storage.list.bind(storage);
    const waitMs = 15_000;
    await using own = await start({
      clock: createSkippingClock(fake, waitMs, waitMs),
      storage,
      maxRequestsInflight: 1,
    });
    await createSender(own)(BINDINGS, TESTER_BINDING);
    // From now on a list keeps its seat until the test frees it.
    storage.list = async (prefix, options) => {
      taken.resolve();
      await freed.promise;
      return await list(prefix, options);
    };
    const session = await openSession(own.port, await createClient(ca));
    const seated = http2(session, CSRS);
    await taken.promise;
    const { code, headers, body } = await http2(session, "/version");
    assert.equal(code, 429);
    assert.deepEqual(
      ["retry-after", "content-type", "x-content-type-options", "cache-control"].map((name) => headers[name]),
      ["1", "text/plain; charset=utf-8", "nosniff", "no-cache, private"],
    );
    assert.equal(body.toString(), "Too many requests, please try again later.\n");
    freed.resolve();
    assert.equal((await seated).code, 200);
    await closeSession(session);
  });

  test("listening on a port in use fails with the address in the error", async () => {
    await assert.rejects(
      start({ port: server.port }),
      (error) =>
        error instanceof AppError && error.code === "port_in_use" &&
        error.message === `cannot listen on "127.0.0.1:${server.port}": the address is in use` &&
        error.hint !== undefined,
    );
  });

  test("listening on an address of another machine fails", async () => {
    await assert.rejects(
      start({ bindAddress: "192.0.2.1" }),
      (error) => error instanceof AppError && error.code === "io",
    );
  });

  test("disposing ends open watches, idle connections and half-open ones", async () => {
    const own = await start();
    const credentials = await createClient(ca);
    const session = await openSession(own.port, credentials);
    session.on("error", () => {});
    const stream = session.request({ ":path": `${CSRS}?watch=1` });
    stream.on("error", () => {});
    await new Promise((resolve) => stream.once("response", resolve));
    const ended = new Promise((resolve) => stream.once("close", resolve));
    const idle = connectTls({ host: "127.0.0.1", port: own.port, ca: ca.caPem, servername: "localhost" });
    idle.on("error", () => {});
    await new Promise((resolve) => idle.once("secureConnect", resolve));
    const halfOpen = connectTcp(own.port, "127.0.0.1");
    halfOpen.on("error", () => {});
    await new Promise((resolve) => halfOpen.once("connect", resolve));
    const closed = [session, idle, halfOpen].map((one) => new Promise((resolve) => one.once("close", resolve)));
    idle.resume();
    halfOpen.resume();
    await own[Symbol.asyncDispose]();
    await Promise.all([ended, ...closed]);
  });
});
