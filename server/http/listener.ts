/**
 * The one HTTPS listener: HTTP/2 and HTTP/1.1 by ALPN, client certificates requested but not required. A bad client
 * certificate does not end the handshake; it leads to a 401 with a reason.
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
import type { PeerCertificate } from "../authn/authentication.ts";
import { deferSessionDestroy, isEnding } from "../http2_sessions.ts";
import type { Answer } from "./answer.ts";
import type { IncomingRequest } from "./exchange.ts";
import {
  type ConnectionGuard,
  createConnectionGuard,
  type Endings,
  GUARD_LIMITS,
  type GuardedConnection,
  type GuardedRequest,
  type GuardLimits,
} from "./connection_guard.ts";
import { MAX_HEAD_BYTES } from "./limits.ts";
import { createRefusals, findHeadFault, refusePlainHttp } from "./malformed_requests.ts";
import { createPacing } from "./pacing.ts";
import { findPeerCertificate } from "./peer_certificate.ts";
import { answerAsHttp10, sendAnswer } from "./send_answer.ts";

/** What the listener knows of a request beside the request. */
export interface Connection {
  /** Undefined when the client showed no certificate. */
  readonly peer: PeerCertificate | undefined;
  /** Client address without port. */
  readonly remoteAddress: string;
  /** Header names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** Path and query as they came. */
  readonly target: string;
  readonly isHttp2: boolean;
  /** Hears who it is, and how long its answer goes on. */
  readonly held: { authenticated(user: string): void; markStreaming(): void };
}

/** Handles one request. */
export type AnswerHandler = (request: IncomingRequest, connection: Connection) => Promise<Answer> | Answer;

/** The serving certificate (leaf first) and its key, PEM. */
export interface ServingPair {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Where and how to listen. */
export interface ListenOptions {
  readonly bindAddress: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly serving: ServingPair;
  /** PEM bundle that client certificates are checked against; undefined when none are trusted. */
  readonly clientCaPem: string | undefined;
  readonly answer: AnswerHandler;
  readonly logger: Logger;
  /** Where connections differ from `GUARD_LIMITS`. */
  readonly limits?: Partial<GuardLimits>;
}

/** A running listener. Disposing it drains for up to a second, then closes what is left. */
export interface Listener extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** New connections get this certificate. */
  setServing(serving: ServingPair): void;
  /** Client certificates of new connections are checked against this bundle. */
  setClientCa(pem: string): void;
}

/**
 * A storm of nodes opens a thousand connections at once; Node's default of 511 would put some off for a second. Longer
 * than this the last would wait for its handshake nearly as long as clients do, ten seconds, where the machine is slow or
 * busy; who finds no place is not connected yet, and its kernel tries again.
 */
const BACKLOG = 1024;
/** Node's 10 MB per session refuses parallel large lists on one connection. */
const MAX_SESSION_MEMORY_MB = 1000;
/** Above what the guard lets a connection cancel, which knows whose it is. */
const STREAM_RESETS = { streamResetBurst: 4_000, streamResetRate: 500 };
/** Those of TLS 1.3, and of 1.2 those with forward secrecy and authenticated encryption. */
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
/** From the end of a connection to the end of its socket. */
const CLOSE_GRACE_MS = 2_000;
/** kube-apiserver's period of TCP keep-alive: a machine that lost its power says no goodbye. */
const KEEP_ALIVE_MS = 180_000;
/** kube-apiserver's; Go's client opens another connection for more. */
const MAX_STREAMS = 100;
/** Tells the adaptor that the answer is on the wire already. */
const ALREADY_SENT = new Response(null, { headers: { "x-hono-already-sent": "true" } });

/** Opens the listener. Throws AppError `port_in_use` or `io`. */
export async function listen(options: ListenOptions): Promise<Listener> {
  deferSessionDestroy();
  let { serving, clientCaPem } = options;
  // All of it each time: setSecureContext() takes what is not said for Node's own defaults.
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
        // What goes with its connection was not cancelled by anybody.
        outgoing.once("close", () => isAnswered || isOver() ? held.finished() : held.cancelled());
      }
      const place = pacing.schedule(own, own?.isAuthenticated ?? false);
      if (place !== undefined) {
        outgoing.once("close", place.cancel);
        await place.turn;
        outgoing.off("close", place.cancel);
      }
      // Whoever has gone meanwhile is not served.
      if (
        isOver() || outgoing.destroyed || (outgoing as { stream?: { destroyed: boolean } }).stream?.destroyed === true
      ) {
        return ALREADY_SENT;
      }
      const answer = await options.answer(request, createConnection(incoming, session, guarded, held));
      await sendAnswer(session === undefined ? answer : closeAfterAnswer(answer, session), outgoing);
      isAnswered = true;
      return ALREADY_SENT;
    },
    // A health check of HTTP/1.0 names no host.
    { overrideGlobalObjects: false, hostname: "localhost" },
  );
  const server = createSecureServer(
    {
      ...tls(),
      allowHTTP1: true,
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: limits.unauthenticatedTimeoutMs,
      // Node's five seconds race with clients that ask every five seconds.
      keepAliveTimeout: limits.idleTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEAD_BYTES },
      ...STREAM_RESETS,
    } as Parameters<typeof createSecureServer>[0],
    (incoming, outgoing) => {
      // With HTTP/1 it is a message of another type, which the types of Node do not say.
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
  // Options of HTTP/1.1, which Deno 2.9 takes from properties where HTTP/2 is served as well. Node's own answer to a
  // request without a host has no text.
  Object.assign(server, { maxHeaderSize: MAX_HEAD_BYTES, requireHostHeader: false });
  const secure = server.listeners("connection");
  server.removeAllListeners("connection");
  const connections = trackConnections(server, guard, guarded);
  server.on("connection", (socket: Socket) => {
    pacing.connectionAccepted();
    // A peer that resets its connection is its own business.
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

/** Fails as `listen` would, without listening for longer than a moment: for what should not be done in vain. */
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
            hint: "stop what listens there, or choose another port with --secure-port",
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

/** Sockets that are open, so that closing can end those that do not end by themselves; the guard hears of each. */
function trackConnections(
  server: Http2SecureServer,
  guard: ConnectionGuard,
  guarded: WeakMap<object, GuardedConnection>,
): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  // What is one connection to us is a socket, one around it for TLS, and maybe a session: they have the port in common.
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
    // A peer that resets its connection is its own business.
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
 * Both runtimes wait with a socket until its peer has taken what is written and closes its side, for ever if need be: a
 * peer that was asked to go and does not is cut off.
 */
function createEndings(socket: Socket, close: () => void, destroy: () => void): Endings {
  const insist = (): void => void setTimeout(() => socket.destroy(), CLOSE_GRACE_MS).unref();
  return {
    close() {
      close();
      insist();
    },
    destroy() {
      destroy();
      insist();
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

/** HTTP/2 has no header that ends a connection: a session that is closed takes no further requests. */
function closeAfterAnswer(answer: Answer, session: ServerHttp2Session): Answer {
  const { connection, ...headers } = answer.headers;
  if (connection === undefined) return answer;
  if (connection === "close" && !session.closed) session.close();
  return { ...answer, headers };
}

/** The HTTP/2 session of a request; undefined for HTTP/1.1, and for a stream that is gone already. */
function findSession(incoming: IncomingMessage | Http2ServerRequest): ServerHttp2Session | undefined {
  return "stream" in incoming ? incoming.stream?.session as ServerHttp2Session | undefined : undefined;
}

function createConnection(
  incoming: IncomingMessage | Http2ServerRequest,
  session: ServerHttp2Session | undefined,
  guarded: WeakMap<object, GuardedConnection>,
  request: GuardedRequest | undefined,
): Connection {
  const socket = (session?.socket ?? incoming.socket) as TLSSocket;
  return {
    peer: findPeerCertificate(socket),
    remoteAddress: socket.remoteAddress ?? "",
    rawHeaders: incoming.rawHeaders,
    target: incoming.url ?? "/",
    isHttp2: session !== undefined,
    held: {
      authenticated: (user) => guarded.get(session ?? incoming.socket)?.authenticated(user),
      markStreaming: () => request?.markStreaming(),
    },
  };
}
