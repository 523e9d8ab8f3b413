/**
 * A gRPC client of one server ("gRPC over HTTP2" in the documentation of gRPC). Its connection is opened when a call
 * needs it, kept alive, and opened again after it has broken. Messages are bytes.
 */
import { Buffer } from "node:buffer";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as startHttp2,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { unescape } from "node:querystring";
import { connect as connectTls, type SecureContext } from "node:tls";
import { getErrorMessage } from "../../../core/errors.ts";
import { withoutBrackets } from "../../../core/lib/ip_address.ts";
import { deferSessionDestroy, isEnding } from "../../http2_sessions.ts";

/** The status codes of gRPC that etcd answers with, and those of calls that were not answered. */
export const GRPC_STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  outOfRange: 11,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export class GrpcError extends Error {
  /** One of `GRPC_STATUS`, or another code of gRPC. */
  readonly status: number;
  /** True when the call was never sent, so that it may be repeated. */
  readonly isUnsent: boolean;

  constructor(status: number, message: string, isUnsent = false) {
    super(message);
    this.status = status;
    this.isUnsent = isUnsent;
  }
}

/** Receives the messages of a call in order and then, once, its end, with the error if it failed. */
export interface GrpcListener {
  onMessage(message: Buffer): void;
  onEnd(error: GrpcError | undefined): void;
}

/** A call that has begun and may still receive messages. */
export interface GrpcCall {
  /** Sends another message after the first one. */
  write(message: Uint8Array): void;
  /** Ends the call with the status `cancelled`. */
  cancel(): void;
}

export interface GrpcServer {
  /** Begins a call with its first message, which is also the last one unless `isOpen`. */
  begin(path: string, message: Uint8Array, listener: GrpcListener, isOpen: boolean): GrpcCall;
  close(): void;
}

/** How long a connection may take, in milliseconds. */
const CONNECT_MS = 5_000;
/** The time between two pings of a connection, and how long each may take, in milliseconds. */
const PING_EVERY_MS = 10_000;
const PING_WITHIN_MS = 5_000;
/** How much a server may send without an acknowledgement. A list of etcd's keys takes several megabytes. */
const WINDOW_BYTES = 4 * 1_048_576;
const NO_HTTP2 = "the server does not speak HTTP/2";
/** Each message is preceded by one byte for its compression and four for its length. */
const PREFIX_BYTES = 5;

/** A connection to one server, which is opened when a call needs it, and again after it has broken. */
export class GrpcChannel implements GrpcServer {
  readonly #server: URL;
  readonly #secureContext: SecureContext | undefined;
  #session: ClientHttp2Session | undefined;
  #connecting: Promise<ClientHttp2Session> | undefined;
  #isClosed = false;

  /** `secureContext` verifies an `https` server; it is ignored for `http`. */
  constructor(server: URL, secureContext: SecureContext) {
    deferSessionDestroy();
    this.#server = server;
    this.#secureContext = server.protocol === "https:" ? secureContext : undefined;
  }

  begin(path: string, message: Uint8Array, listener: GrpcListener, isOpen: boolean): GrpcCall {
    const call = new Call(listener, isOpen);
    call.write(message);
    // A connection that the server is about to close takes no new calls.
    if (this.#session !== undefined && call.send(this.#session, path) === undefined) return call;
    this.#session = undefined;
    this.#connecting ??= this.#connect().finally(() => this.#connecting = undefined);
    this.#connecting.then((session) => {
      const fault = call.send(session, path);
      if (fault !== undefined) call.finish(fault);
    }, (error: unknown) => call.finish(unsent(error)));
    return call;
  }

  close(): void {
    this.#isClosed = true;
    this.#session?.destroy();
  }

  async #connect(): Promise<ClientHttp2Session> {
    const session = await connect(this.#server, this.#secureContext);
    if (this.#isClosed) session.destroy();
    const pinging = setInterval(() => ping(session), PING_EVERY_MS);
    const end = (): void => {
      clearInterval(pinging);
      if (this.#session === session) this.#session = undefined;
    };
    session.on("goaway", end).on("close", end);
    this.#session = session;
    return session;
  }
}

/** Destroys a connection that does not answer a ping in time. */
function ping(session: ClientHttp2Session): void {
  if (session.destroyed) return;
  const timer = setTimeout(() => session.destroy(new Error("no answer to a ping")), PING_WITHIN_MS);
  session.ping(() => clearTimeout(timer));
}

/** Connects, and resolves when the server has sent its settings, as only an HTTP/2 server does. */
function connect(server: URL, secureContext: SecureContext | undefined): Promise<ClientHttp2Session> {
  const host = withoutBrackets(server.hostname);
  const port = Number(server.port === "" ? (secureContext === undefined ? 80 : 443) : server.port);
  return new Promise((resolve, reject) => {
    // TLS does not allow an address as the server name (RFC 6066 section 3); the certificate is checked against it anyway.
    const socket: Socket = secureContext === undefined ? connectPlain({ host, port }) : connectTls({
      host,
      port,
      secureContext,
      ALPNProtocols: ["h2"],
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const fail = (error: NodeJS.ErrnoException): void => {
      clearTimeout(timer);
      socket.destroy();
      // A server with TLS may reset the connection, because it got no handshake.
      const isReset = secureContext === undefined && error.code === "ECONNRESET";
      reject(isReset || error.code?.startsWith("ERR_HTTP2") === true ? new Error(NO_HTTP2) : error);
    };
    const timer = setTimeout(() => fail(new Error(`connect ETIMEDOUT ${host}:${port}`)), CONNECT_MS);
    // On Node, a TLS alert may end the socket without a session error.
    socket.on("error", fail);
    socket.once(secureContext === undefined ? "connect" : "secureConnect", () => {
      const settings = { enablePush: false, initialWindowSize: WINDOW_BYTES };
      const session = startHttp2(server, { createConnection: () => socket, settings });
      session.once("error", fail);
      session.once("close", () => fail(new Error(NO_HTTP2)));
      session.once("remoteSettings", () => {
        clearTimeout(timer);
        session.setLocalWindowSize(WINDOW_BYTES);
        // Calls report why a connection has broken.
        session.on("error", () => undefined);
        resolve(session);
      });
    });
  });
}

class Call implements GrpcCall {
  readonly #listener: GrpcListener;
  readonly #isOpen: boolean;
  readonly #waiting: Buffer[] = [];
  /** The parts of an incomplete message, and the number of bytes that complete it, as far as that is known. */
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #wantedBytes = PREFIX_BYTES;
  #stream: ClientHttp2Stream | undefined;
  #status: IncomingHttpHeaders = {};
  #isFinished = false;

  constructor(listener: GrpcListener, isOpen: boolean) {
    this.#listener = listener;
    this.#isOpen = isOpen;
  }

  write(message: Uint8Array): void {
    const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
    framed[0] = 0;
    framed.writeUInt32BE(message.length, 1);
    framed.set(message, PREFIX_BYTES);
    if (this.#stream === undefined) this.#waiting.push(framed);
    else if (!this.#isFinished) this.#stream.write(framed);
  }

  /** Sends the waiting messages over a connection; returns an error if the connection accepts no calls. */
  send(session: ClientHttp2Session, path: string): GrpcError | undefined {
    if (this.#isFinished) return undefined;
    // Node 24 does not throw, but ends the stream with an error, as if the call had been sent.
    if (session.closed || isEnding(session)) return unsent(new Error("the connection is closing"));
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(toHeaders(path));
    } catch (error) {
      return unsent(error);
    }
    this.#stream = stream;
    stream.on("response", (headers) => this.#status = headers);
    stream.on("trailers", (trailers) => this.#status = trailers);
    stream.on("data", (bytes: Buffer) => this.#take(bytes));
    stream.on("end", () => this.#end());
    stream.on("error", (error) => this.finish(toGrpcError(error, stream.rstCode)));
    stream.on("close", () => {
      // Creating an error takes a twentieth of a whole call.
      if (!this.#isFinished) this.finish(toGrpcError(new Error("the connection was closed"), stream.rstCode));
    });
    const last = this.#isOpen ? undefined : this.#waiting.pop();
    for (const framed of this.#waiting.splice(0)) stream.write(framed);
    if (last !== undefined) stream.end(last);
    return undefined;
  }

  cancel(): void {
    this.finish(new GrpcError(GRPC_STATUS.cancelled, "no answer in time"));
  }

  finish(error: GrpcError | undefined): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (error !== undefined) this.#stream?.close(constants.NGHTTP2_CANCEL);
    this.#listener.onEnd(error);
  }

  /** Passes on the complete messages. */
  #take(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes < this.#wantedBytes) return;
    let rest = this.#received.length === 1 ? bytes : Buffer.concat(this.#received);
    while (rest.length >= (this.#wantedBytes = findEnd(rest))) {
      const message = rest.subarray(PREFIX_BYTES, this.#wantedBytes);
      rest = rest.subarray(this.#wantedBytes);
      if (!this.#isFinished) this.#listener.onMessage(message);
    }
    this.#received = rest.length === 0 ? [] : [rest];
    this.#receivedBytes = rest.length;
  }

  #end(): void {
    const { "grpc-status": status, "grpc-message": message = "", ":status": http } = this.#status;
    if (status === String(GRPC_STATUS.ok)) this.finish(undefined);
    else if (status !== undefined) this.finish(new GrpcError(Number(status), unescape(String(message))));
    else if (http !== undefined && String(http) !== "200") {
      this.finish(new GrpcError(GRPC_STATUS.unknown, `the server answered with HTTP ${http}`));
    }
  }
}

/** Returns the end of the first message, or of its prefix while that is incomplete. */
function findEnd(bytes: Buffer): number {
  return bytes.length < PREFIX_BYTES ? PREFIX_BYTES : PREFIX_BYTES + bytes.readUInt32BE(1);
}

/** Headers of a call. A member of etcd that knows of no leader refuses it at once, instead of waiting for one. */
function toHeaders(path: string): Record<string, string> {
  return { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", hasleader: "true" };
}

function unsent(error: unknown): GrpcError {
  return new GrpcError(GRPC_STATUS.unavailable, getErrorMessage(error), true);
}

function toGrpcError(error: Error, rstCode: number | undefined): GrpcError {
  return new GrpcError(GRPC_STATUS.unavailable, error.message, rstCode === constants.NGHTTP2_REFUSED_STREAM);
}
