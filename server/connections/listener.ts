/**
 * The HTTPS listener: HTTP/2 and HTTP/1.1 by ALPN, with client certificates requested but not required. A bad client
 * certificate does not end the handshake; it leads to a 401.
 */
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type ServerHttp2Session,
} from "node:http2";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { getRequestListener } from "@hono/node-server";
import { AppError } from "../../core/errors.ts";
import type { Logger } from "../../core/ports.ts";
import { deferSessionDestroy, isEnding } from "./http2_sessions.ts";
import { type Answer, answerAsHttp10, sendAnswer } from "../http/answer.ts";
import type { Caller, IncomingRequest, RequestConnection } from "../http/exchange.ts";
import {
  type ConnectionGuard,
  createConnectionGuard,
  type Endings,
  GUARD_LIMITS,
  type GuardedConnection,
  type GuardLimits,
} from "./connection_guard.ts";
import { MAX_HEAD_BYTES } from "../http/limits.ts";
import { createRefusals, findHeadFault, refusePlainHttp } from "./malformed_requests.ts";
import { createPacing } from "./pacing.ts";
import { findPeerCertificate } from "./peer_certificate.ts";

/** Answers one request. */
export type AnswerHandler = (request: IncomingRequest, caller: Caller) => Promise<Answer> | Answer;

/** The serving certificate (leaf first) and its key, in PEM. */
export interface ServingPair {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** The address, certificates and limits of a listener. */
export interface ListenOptions {
  readonly bindAddress: string;
  /** The port; 0 selects a free one. */
  readonly port: number;
  readonly serving: ServingPair;
  /** The PEM bundle that client certificates are verified against; undefined when none are trusted. */
  readonly clientCaPem: string | undefined;
  readonly answer: AnswerHandler;
  readonly logger: Logger;
  /** The limits that differ from `GUARD_LIMITS`. */
  readonly limits?: Partial<GuardLimits>;
}

/** A running listener. Disposing it drains for a moment, then closes the remaining connections. */
export interface Listener extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Sets the certificate for new connections. */
  setServing(serving: ServingPair): void;
  /** Sets the bundle that client certificates of new connections are verified against. */
  setClientCa(pem: string): void;
}

/**
 * A storm of nodes opens a thousand connections at once, and Node's default of 511 would delay some for a second. In a
 * longer backlog the last client of a slow machine would wait for its handshake until its timeout of ten seconds. A client
 * without a place is not connected yet, and its kernel retries.
 */
const BACKLOG = 1024;
/** Node's default of 10 MB per session refuses parallel large lists on one connection. */
const MAX_SESSION_MEMORY_MB = 1000;
/** Above the limits of the guard, which also knows the user of a connection. */
const STREAM_RESETS = { streamResetBurst: 4_000, streamResetRate: 500 };
/** The ciphers of TLS 1.3, and those of TLS 1.2 with forward secrecy and authenticated encryption. */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");
const DRAIN_MS = 500;
const SWEEP_MS = 1_000;
/** The time from the end of a connection to the forced end of its socket. */
const CLOSE_GRACE_MS = 2_000;
/** kube-apiserver's period of TCP keep-alive, which detects a client that lost its power. */
const KEEP_ALIVE_MS = 180_000;
/** kube-apiserver's limit; Go's client opens another connection for more streams. */
const MAX_STREAMS = 100;
/** Signals the adaptor that the answer was already sent. */
const ALREADY_SENT = new Response(null, { headers: { "x-hono-already-sent": "true" } });

/** Opens the listener. Throws AppError `port_in_use` or `io`. */
export async function listen(options: ListenOptions): Promise<Listener> {
  deferSessionDestroy();
  let { serving, clientCaPem } = options;
  // setSecureContext() resets every missing option to Node's default, so it always gets all of them.
  const tls = () => ({
    minVersion: "TLSv1.2" as const,
    ciphers: CIPHERS,
    cert: serving.certificatePem,
    key: serving.privateKeyPem,
    ...(clientCaPem === undefined ? {} : { ca: clientCaPem }),
  });
  const limits: GuardLimits = { ...GUARD_LIMITS, ...options.limits };
  const guard = createConnectionGuard(
    () => performance.now(),
    limits,
    (reason) => options.logger.info("connection ended", { reason }),
  );
  const guarded = new WeakMap<object, GuardedConnection>();
  const pacing = createPacing(setImmediate);
  const refusals = createRefusals();
  const handler = getRequestListener(
    async (request, env) => {
      const { incoming } = env;
      const outgoing = env.outgoing as ServerResponse;
      const session = findSession(incoming);
      const own = guarded.get(session ?? incoming.socket);
      const held = own?.startRequest(() => abort(incoming, session), session !== undefined);
      if (session === undefined) refusals.requestStarted(incoming.socket, outgoing);
      const isOver = () => session !== undefined && isEnding(session);
      let isAnswered = false;
      if (held !== undefined) {
        // A request that ends with its connection was not cancelled.
        outgoing.once("close", () => isAnswered || isOver() ? held.finished() : held.cancelled());
      }
      const waiting = pacing.schedule(own, own?.isAuthenticated ?? false);
      if (waiting !== undefined) {
        outgoing.once("close", waiting.cancel);
        await waiting.turn;
        outgoing.off("close", waiting.cancel);
      }
      // The client may have disconnected meanwhile.
      if (
        isOver() || outgoing.destroyed || (outgoing as { stream?: { destroyed: boolean } }).stream?.destroyed === true
      ) {
        return ALREADY_SENT;
      }
      const answer = await options.answer(request, createCaller(incoming, session, held));
      await sendAnswer(session === undefined ? answer : closeAfterAnswer(answer, session), outgoing);
      isAnswered = true;
      return ALREADY_SENT;
    },
    // A health check over HTTP/1.0 has no Host header.
    { overrideGlobalObjects: false, hostname: "localhost" },
  );
  const server = createSecureServer(
    {
      ...tls(),
      allowHTTP1: true,
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: limits.unauthenticatedTimeoutMs,
      // Node's default of five seconds races with clients that send a request every five seconds.
      keepAliveTimeout: limits.idleTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEAD_BYTES },
      ...STREAM_RESETS,
    } as Parameters<typeof createSecureServer>[0],
    (incoming, outgoing) => {
      // For HTTP/1 the message has another type, which Node's types do not declare.
      const request = incoming as unknown as IncomingMessage;
      if (!("stream" in request)) {
        const fault = findHeadFault(request);
        if (fault !== undefined) return refusals.refuse(fault, request.socket);
        if (request.httpVersion === "1.0") answerAsHttp10(outgoing as unknown as ServerResponse);
      }
      handler(incoming, outgoing).catch((error: unknown) =>
        options.logger.error("request failed outside the pipeline", { error })
      );
    },
  );
  // Deno 2.9 reads these options of HTTP/1.1 from properties when the server also has HTTP/2. Node's own answer to a
  // request without a Host header has no text.
  Object.assign(server, { maxHeaderSize: MAX_HEAD_BYTES, requireHostHeader: false });
  const secure = server.listeners("connection");
  server.removeAllListeners("connection");
  const connections = trackConnections(server, guard, guarded);
  server.on("connection", (socket: Socket) => {
    pacing.connectionAccepted();
    // A reset by the peer needs no log line.
    socket.on("error", () => socket.destroy());
    refusePlainHttp(socket, () => secure.forEach((listener) => listener.call(server, socket)));
  });
  server.on("clientError", refusals.refuseUnparsed);
  server.on("tlsClientError", (error: Error) => options.logger.debug("TLS handshake failed", { error: error.message }));
  server.on("sessionError", (error: Error) => options.logger.debug("HTTP/2 session failed", { error: error.message }));
  await startListening(server, options);
  server.on("error", (error: Error) => options.logger.warn("cannot accept connections", { error: error.message }));
  const sweeping = setInterval(() => guard.sweep(), SWEEP_MS);
  sweeping.unref();
  const { address, port } = server.address() as AddressInfo;

  return {
    address,
    port,
    setServing(next) {
      serving = next;
      server.setSecureContext(tls());
    },
    setClientCa(pem) {
      clientCaPem = pem;
      server.setSecureContext(tls());
    },
    async [Symbol.asyncDispose]() {
      clearInterval(sweeping);
      await closeServer(server, connections);
    },
  };
}

/** Checks that `listen` would succeed, by listening for a moment. Throws the same errors. */
export async function checkAddress(options: Pick<ListenOptions, "bindAddress" | "port">): Promise<void> {
  const server = createServer();
  await startListening(server, options);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

function startListening(server: Server, options: Pick<ListenOptions, "bindAddress" | "port">): Promise<void> {
  const { bindAddress, port } = options;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") {
        reject(
          new AppError("port_in_use", `cannot listen on "${bindAddress}:${port}": the address is in use`, {
            cause: error,
            hint: "stop the program that listens there, or choose another port with --secure-port",
          }),
        );
        return;
      }
      reject(
        new AppError("io", `cannot listen on "${bindAddress}:${port}": ${error.message}`, {
          cause: error,
          hint: "choose an address of this machine with --bind-address",
        }),
      );
    });
    server.listen({ host: bindAddress, port, backlog: BACKLOG }, () => resolve());
  });
}

/** Tracks the open sockets, so that closing can end the ones that stay open, and reports each to the guard. */
function trackConnections(
  server: Http2SecureServer,
  guard: ConnectionGuard,
  guarded: WeakMap<object, GuardedConnection>,
): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  // One connection has a socket, a TLS socket around it, and maybe an HTTP/2 session; all have the same remote port.
  const accepted = new Map<string, Accepted>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    const connection = guard.accept({ close: () => socket.destroy(), destroy: () => socket.destroy() });
    const key = peerKey(socket);
    const own = connection === undefined ? undefined : { connection, socket };
    if (own !== undefined) accepted.set(key, own);
    socket.once("close", () => {
      sockets.delete(socket);
      connection?.closed();
      if (accepted.get(key) === own) accepted.delete(key);
    });
  });
  server.on("session", (session: ServerHttp2Session) => {
    const own = accepted.get(peerKey(session.socket));
    if (own === undefined) return;
    guarded.set(session, own.connection);
    own.connection.secured(createEndings(own.socket, () => session.close(), () => session.destroy()));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // A reset by the peer needs no log line.
    socket.on("error", () => socket.destroy());
    const own = accepted.get(peerKey(socket));
    if (own === undefined) return;
    guarded.set(socket, own.connection);
    if (socket.authorized === true) own.connection.authenticated();
    if (socket.alpnProtocol === "h2") return;
    own.connection.secured(createEndings(own.socket, () => socket.destroySoon(), () => socket.destroy()));
  });
  return sockets;
}

interface Accepted {
  readonly connection: GuardedConnection;
  readonly socket: Socket;
}

/**
 * Both runtimes keep a socket until its peer has read everything and closes its side, for ever if the peer does not. So
 * the socket is destroyed after a grace period.
 */
function createEndings(socket: Socket, close: () => void, destroy: () => void): Endings {
  const destroyLater = (): void => void setTimeout(() => socket.destroy(), CLOSE_GRACE_MS).unref();
  return {
    close() {
      close();
      destroyLater();
    },
    destroy() {
      destroy();
      destroyLater();
    },
  };
}

function peerKey({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress} ${remotePort}`;
}

function abort(incoming: IncomingMessage | Http2ServerRequest, session: ServerHttp2Session | undefined): void {
  if (session === undefined) incoming.socket.destroy();
  else (incoming as Http2ServerRequest).stream.close(constants.NGHTTP2_CANCEL);
}

async function closeServer(server: Http2SecureServer, connections: ReadonlySet<Socket>): Promise<void> {
  await new Promise<void>((resolve) => {
    const kill = setTimeout(() => {
      for (const socket of connections) socket.destroy();
    }, DRAIN_MS);
    server.close(() => {
      clearTimeout(kill);
      resolve();
    });
  });
}

/** HTTP/2 has no header that ends a connection, so the session is closed, which refuses further requests. */
function closeAfterAnswer(answer: Answer, session: ServerHttp2Session): Answer {
  const { connection, ...headers } = answer.headers;
  if (connection === undefined) return answer;
  if (connection === "close" && !session.closed) session.close();
  return { ...answer, headers };
}

/** Finds the HTTP/2 session of a request; undefined for HTTP/1.1, and for a stream that is already closed. */
function findSession(incoming: IncomingMessage | Http2ServerRequest): ServerHttp2Session | undefined {
  return "stream" in incoming ? incoming.stream?.session as ServerHttp2Session | undefined : undefined;
}

function createCaller(
  incoming: IncomingMessage | Http2ServerRequest,
  session: ServerHttp2Session | undefined,
  connection: RequestConnection | undefined,
): Caller {
  const socket = (session?.socket ?? incoming.socket) as TLSSocket;
  return {
    peer: findPeerCertificate(socket),
    remoteAddress: socket.remoteAddress ?? "",
    rawHeaders: incoming.rawHeaders,
    target: incoming.url ?? "/",
    isHttp2: session !== undefined,
    ...(connection === undefined ? {} : { connection }),
  };
}
