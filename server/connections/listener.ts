/**
 * The HTTPS listener: HTTP/2 and HTTP/1.1 by ALPN, with client certificates requested but not required. A bad client
 * certificate does not end the handshake; it leads to a 401.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Session,
} from "node:http2";
import { type AddressInfo, createServer, isIP, type Server, type Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { AppError } from "../../core/errors.ts";
import { canonicalIp } from "../../core/lib/ip_address.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { type Answer, answerAsHttp10, isClosed, sendAnswer } from "../http/answer.ts";
import type { Incoming } from "../http/exchange.ts";
import { MAX_HEAD_BYTES } from "../http/limits.ts";
import { ConnectionGuard, GUARD_LIMITS, type GuardLimits } from "./connection_guard.ts";
import { OpenConnections } from "./open_connections.ts";
import { createPacing } from "./pacing.ts";
import {
  createRefusals,
  findHeadFault,
  fromMessage,
  fromStream,
  type Received,
  refusePlainHttp,
  refuseRest,
  type StreamEvent,
} from "./received.ts";
import { deferSessionDestroy, isEnding } from "../http2_sessions.ts";

/** The serving certificate (leaf first) and its key, in PEM. */
export interface ServingPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

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

interface TlsCertificates {
  readonly serving: ServingPair;
  /** The PEM bundle that client certificates are verified against; undefined when none are trusted. */
  readonly clientCaPem: string | undefined;
}

/**
 * Creates the options of a TLS context. `setSecureContext()` resets every missing option to Node's default, so it always
 * gets all of them.
 */
function createTlsContext({ serving, clientCaPem }: TlsCertificates): SecureContextOptions {
  return {
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
    cert: serving.certificatePem,
    key: serving.keyPem,
    ...(clientCaPem === undefined ? {} : { ca: clientCaPem }),
  };
}

export interface ListenOptions extends TlsCertificates {
  readonly bindAddress: string;
  /** The port; 0 selects a free one. */
  readonly port: number;
  /** The descriptor of a socket that already listens on this address. */
  readonly passedSocket?: number | undefined;
  readonly answer: (incoming: Incoming) => Promise<Answer>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The limits that differ from `GUARD_LIMITS`. */
  readonly limits?: Partial<GuardLimits> | undefined;
}

/** A running listener. Disposing it drains for a moment, then closes the remaining connections. */
export interface Listener extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  setServing(serving: ServingPair): void;
  /** Sets the bundle that client certificates of new connections are verified against. */
  setClientCa(pem: string): void;
}

/**
 * A thousand nodes may connect at once, and Node's default of 511 would delay some of them for a second. With a longer
 * backlog, the last clients of a slow server would wait for their handshakes until they time out after ten seconds. A
 * client that finds the backlog full is not connected yet, and its kernel retries.
 */
const BACKLOG = 1024;
/**
 * The memory of an HTTP/2 session, beyond which it accepts no more requests. An answer of any length occupies 128 KiB
 * of it (`CHUNK_BYTES`) while its client does not read, so a hundred streams (`MAX_STREAMS`) need 13 MB, and their
 * headers, at 64 KiB each, half as much. Node's default of 10 MB refuses parallel large lists on one connection.
 */
const MAX_SESSION_MEMORY_MB = 32;
/** Higher than the limits of the guard, which also takes the user of a connection into account. */
const STREAM_RESETS = { streamResetBurst: 4_000, streamResetRate: 500 };
const DRAIN_MS = 500;
const SWEEP_MS = 1_000;
/** kube-apiserver's period of TCP keep-alive, which detects a client that has lost power. */
const KEEP_ALIVE_MS = 180_000;
/** kube-apiserver's limit; Go's client opens another connection for more streams. */
const MAX_STREAMS = 100;

/** Opens the listener. Throws AppError `port_in_use` or `io`. */
export async function listen(options: ListenOptions): Promise<Listener> {
  deferSessionDestroy();
  const listener = new HttpsListener(options);
  await listener.open();
  return listener;
}

class HttpsListener implements Listener {
  address = "";
  port = 0;
  readonly #options: ListenOptions;
  readonly #logger: Logger;
  readonly #guard: ConnectionGuard;
  readonly #pacing = createPacing(setImmediate);
  readonly #refusals = createRefusals();
  readonly #server: Http2SecureServer;
  readonly #connections: OpenConnections;
  #certificates: TlsCertificates;
  readonly #stopping = new AbortController();

  constructor(options: ListenOptions) {
    const limits: GuardLimits = { ...GUARD_LIMITS, ...options.limits };
    this.#options = options;
    this.#logger = options.logger;
    this.#certificates = options;
    this.#guard = new ConnectionGuard(
      () => options.clock.elapsedMs(),
      limits,
      (reason) => this.#logger.info("connection ended", { reason }),
    );
    this.#server = createSecureServer(
      createServerOptions(options, limits),
      (message, outgoing) =>
        this.#receiveMessage(message as unknown as IncomingMessage, outgoing as unknown as ServerResponse),
    );
    // Because the server has a listener for HTTP/1 messages, Node also converts each HTTP/2 stream to a message.
    this.#server.removeAllListeners("stream");
    this.#server.on("stream", (...[stream, headers, , rawHeaders]: StreamEvent) => {
      const received = fromStream(stream, headers, rawHeaders);
      if (received !== undefined) this.#serve(received);
    });
    // Deno 2.9 reads these options of HTTP/1.1 from properties when the server also has HTTP/2. Node must accept a
    // request without a Host header, because Node's own refusal has no text.
    Object.assign(this.#server, { maxHeaderSize: MAX_HEAD_BYTES, requireHostHeader: false });
    const secure = this.#server.listeners("connection");
    this.#server.removeAllListeners("connection");
    this.#connections = new OpenConnections(
      this.#server,
      this.#guard,
      (ms) => options.clock.sleep(ms, this.#stopping.signal),
    );
    this.#server.on("connection", (socket: Socket) => {
      this.#pacing.connectionAccepted();
      // A reset by the peer needs no log line.
      socket.on("error", () => socket.destroy());
      refusePlainHttp(socket, () => secure.forEach((begin) => begin.call(this.#server, socket)));
    });
    this.#server.on("clientError", this.#refusals.refuseUnparsed);
    this.#server.on("tlsClientError", ({ message }: Error) => {
      this.#logger.debug("TLS handshake failed", { error: message });
    });
    this.#server.on("sessionError", ({ message }: Error) => {
      this.#logger.debug("HTTP/2 session failed", { error: message });
    });
  }

  async open(): Promise<void> {
    await startListening(this.#server, this.#options);
    const { address, port } = this.#server.address() as AddressInfo;
    if (this.#options.passedSocket !== undefined) this.#assertAddress(address, port);
    this.#server.on("error", ({ message }: Error) => {
      this.#logger.warn("cannot accept connections", { error: message });
    });
    void this.#sweep();
    this.address = address;
    this.port = port;
  }

  /**
   * Refuses a passed socket with a different address: clients might not find the server, or unintended clients might.
   */
  #assertAddress(address: string, port: number): void {
    const { bindAddress, port: wanted } = this.#options;
    const isSame = (isIP(bindAddress) === 0 || canonicalIp(bindAddress) === canonicalIp(address)) &&
      (wanted === 0 || wanted === port);
    if (isSame) return;
    this.#server.close();
    throw new AppError(
      "config_invalid",
      `cannot listen on "${bindAddress}:${wanted}": the socket that systemd has passed listens on "${address}:${port}"`,
      {
        hint: "make ListenStream= of the socket unit match the setting bindAddress and the setting securePort",
      },
    );
  }

  setServing(serving: ServingPair): void {
    this.#setCertificates({ ...this.#certificates, serving });
  }

  setClientCa(clientCaPem: string): void {
    this.#setCertificates({ ...this.#certificates, clientCaPem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await new Promise<void>((resolve) => {
      const kill = setTimeout(() => this.#connections.destroyAll(), DRAIN_MS);
      this.#server.close(() => {
        clearTimeout(kill);
        resolve();
      });
    });
  }

  /** Ends connections and requests that have timed out, about once a second until the listener stops. */
  async #sweep(): Promise<void> {
    const { signal } = this.#stopping;
    while (await this.#options.clock.sleep(SWEEP_MS, signal).then(() => true, () => false)) this.#guard.sweep();
  }

  #setCertificates({ serving, clientCaPem }: TlsCertificates): void {
    this.#certificates = { serving, clientCaPem };
    this.#server.setSecureContext(createTlsContext(this.#certificates));
  }

  /** Refuses a malformed HTTP/1 message, and serves every other one. */
  #receiveMessage(message: IncomingMessage, outgoing: ServerResponse): void {
    const fault = findHeadFault(message);
    if (fault !== undefined) return this.#refusals.refuse(fault, message.socket);
    if (message.httpVersion === "1.0") answerAsHttp10(outgoing);
    this.#refusals.requestStarted(message.socket, outgoing);
    outgoing.once("close", () => refuseRest(message));
    const serve = (): void => this.#serve(fromMessage(message, outgoing));
    // Pipelined requests are served one after another, as in Go. On Deno, waiting ones stay open after their connection
    // ends.
    if (outgoing.socket === null) outgoing.once("socket", serve);
    else serve();
  }

  #serve(received: Received): void {
    this.#answer(received).catch((error: unknown) => {
      this.#logger.error("request failed outside the pipeline", { error });
      received.abort();
    });
  }

  /** Answers a request in its turn, unless the client has disconnected by then. */
  async #answer(received: Received): Promise<void> {
    const { outgoing, session, socket } = received;
    const connection = this.#connections.find(session ?? socket);
    const guarded = connection?.startRequest(received.abort, session !== undefined);
    received.connection = guarded;
    const hasEnded = (): boolean => session !== undefined && isEnding(session);
    let isAnswered = false;
    if (guarded !== undefined) {
      // A request that ends with its connection was not cancelled.
      outgoing.once("close", () => isAnswered || hasEnded() ? guarded.finished() : guarded.cancelled());
    }
    const waiting = this.#pacing.schedule(connection, connection?.isAuthenticated ?? false);
    if (waiting !== undefined) {
      outgoing.once("close", waiting.cancel);
      await waiting.turn;
      outgoing.off("close", waiting.cancel);
    }
    if (hasEnded() || isClosed(outgoing)) return;
    const answer = await this.#options.answer(received);
    received.discardBody();
    await sendAnswer(session === undefined ? answer : closeAfterAnswer(answer, session), outgoing);
    isAnswered = true;
  }
}

function createServerOptions(certificates: TlsCertificates, limits: GuardLimits): SecureServerOptions {
  const options = {
    ...createTlsContext(certificates),
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
  };
  // Node's types do not have all of these options.
  return options as SecureServerOptions;
}

/** Checks that `listen` would succeed, by listening briefly. Throws the same errors. */
export async function checkAddress(options: Pick<ListenOptions, "bindAddress" | "port">): Promise<void> {
  const server = createServer();
  await startListening(server, options);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

function startListening(
  server: Server,
  options: Pick<ListenOptions, "bindAddress" | "port" | "passedSocket">,
): Promise<void> {
  const { bindAddress: host, port, passedSocket: fd } = options;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(toListenError(error, `${host}:${port}`)));
    server.listen({ ...(fd === undefined ? { host, port } : { fd }), backlog: BACKLOG }, () => resolve());
  });
}

function toListenError(error: NodeJS.ErrnoException, address: string): AppError {
  if (error.code === "EADDRINUSE") {
    return new AppError("port_in_use", `cannot listen on "${address}": the address is in use`, {
      cause: error,
      hint: "stop the program that listens there, or choose another port with the setting securePort",
    });
  }
  if (error.code === "EACCES") {
    return new AppError("io", `cannot listen on "${address}": this user may not use that port`, {
      cause: error,
      hint:
        "choose a port of 1024 or more with the setting securePort, or give the program the capability CAP_NET_BIND_SERVICE " +
        "(AmbientCapabilities= of a systemd unit)",
    });
  }
  return new AppError("io", `cannot listen on "${address}": ${error.message}`, {
    cause: error,
    hint: "choose an address of this machine with the setting bindAddress",
  });
}

/** Closes the session instead of sending `connection: close`, which HTTP/2 does not have. It then refuses new requests. */
function closeAfterAnswer(answer: Answer, session: ServerHttp2Session): Answer {
  const { connection, ...headers } = answer.headers;
  if (connection === undefined) return answer;
  if (connection === "close" && !session.closed) session.close();
  return { ...answer, headers };
}
