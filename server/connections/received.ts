/**
 * Requests as a connection receives them: streams of HTTP/2 and messages of HTTP/1, with the certificate of the client.
 * Malformed and endless requests get the answer of Go's `net/http` server, and their connection ends.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex, Readable } from "node:stream";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { Buffer } from "node:buffer";
import { isClosed, type Outgoing } from "../http/answer.ts";
import type { Incoming, RequestConnection } from "../http/exchange.ts";
import type { PeerCertificate } from "../authn/authentication.ts";

/** A request as a connection receives it, and where its answer goes. */
export interface Received extends Incoming {
  connection?: RequestConnection | undefined;
  readonly outgoing: Outgoing;
  readonly socket: TLSSocket;
  /** The session of HTTP/2; undefined for HTTP/1. */
  readonly session: ServerHttp2Session | undefined;
  /** Stops reading a body that is no longer needed, and discards the rest. */
  discardBody(): void;
  /** Ends the request at once. */
  abort(): void;
}

/** The arguments of the event `stream`; Node's types of a secure server have only some of them. */
export type StreamEvent = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
];

/** Converts a stream of HTTP/2; undefined when it has ended, or was answered already. */
export function fromStream(
  stream: ServerHttp2Stream,
  { ":method": method = "", ":path": target = "/", expect }: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): Received | undefined {
  // A stream that is ended by its client needs no log line.
  stream.on("error", () => {});
  const { session } = stream;
  if (session === undefined || isClosed(stream)) {
    stream.destroy();
    return undefined;
  }
  const refusal = method === "CONNECT" ? 405 : expect === undefined || expect === "100-continue" ? undefined : 417;
  if (refusal !== undefined) {
    stream.respond({ ":status": refusal }, { endStream: true });
    return undefined;
  }
  // After the answer, the client need not send the rest of its body. Node itself ends only a body that no one has begun
  // to read.
  stream.once("finish", () => {
    if (stream.readableFlowing === true && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
  // When the client resets a stream with NO_ERROR, Node waits for the answer to be written, which never happens.
  stream.once("end", () => {
    if (stream.closed && !stream.writableFinished) setImmediate(() => stream.destroy());
  });
  if (expect !== undefined) stream.additionalHeaders({ ":status": 100 });
  const abort = (): void => stream.close(constants.NGHTTP2_CANCEL);
  const ends = { outgoing: stream, socket: session.socket as TLSSocket, session: session as ServerHttp2Session, abort };
  return createReceived({ method, target, rawHeaders, ...ends }, stream);
}

/** Converts a message of HTTP/1. */
export function fromMessage(message: IncomingMessage, outgoing: ServerResponse): Received {
  const { method = "", url: target = "/", rawHeaders } = message;
  const socket = message.socket as TLSSocket;
  const abort = (): void => void socket.destroy();
  return createReceived({ method, target, rawHeaders, outgoing, socket, session: undefined, abort }, message);
}

type Parts = Omit<Received, "peer" | "remoteAddress" | "isHttp2" | "signal" | "readBody" | "discardBody">;

function createReceived(parts: Parts, body: Readable): Received {
  const { outgoing, socket, session } = parts;
  let discard = (): void => {};
  return {
    ...parts,
    peer: findPeerCertificate(socket),
    remoteAddress: socket.remoteAddress ?? "",
    isHttp2: session !== undefined,
    get signal() {
      const ended = new AbortController();
      const end = (): void => {
        if (!outgoing.headersSent || !outgoing.writableFinished) ended.abort(new Error("the client has disconnected"));
      };
      if (isClosed(outgoing)) end();
      else outgoing.once("close", end);
      return ended.signal;
    },
    readBody: (take) =>
      new Promise((resolve, reject) => {
        const fail = (): void => {
          if (!body.readableEnded) reject(new Error("the client has sent only a part of the body"));
        };
        if (body.destroyed) return fail();
        const read = (piece: Uint8Array): void => {
          if (take(piece)) return;
          body.off("data", read);
          resolve();
        };
        discard = () => {
          body.off("data", read);
          fail();
        };
        body.on("data", read);
        body.once("end", resolve);
        body.once("error", fail);
        body.once("close", fail);
      }),
    discardBody: () => discard(),
  };
}

/** The time that Go's server waits before it closes a connection whose client still writes (`rstAvoidanceDelay`). */
const LINGER_MS = 500;

const BAD_REQUEST = "400 Bad Request";
const NOT_IMPLEMENTED = "501 Not Implemented";
/** The bodies of answers that differ from their status line. */
const TEXTS: ReadonlyMap<string, string> = new Map([[NOT_IMPLEMENTED, "Unsupported transfer encoding"]]);
/** The answers to requests that Node's parser refuses, by its error code. */
const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Request Entity Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** The valid characters of a Host header (`golang.org/x/net/http/httpguts`, `ValidHostHeader`). */
const VALID_HOST = /^[\w!$%&'()*+,\-.:;=[\]~]*$/;

/**
 * Finds the fault of an HTTP/1 request that Node's parser accepted, as a status line; undefined for a valid request
 * (`net/http`, `readRequest` in `server.go`). A proxy and this server could interpret two Host headers differently, or
 * a body with several transfer codings.
 */
export function findHeadFault(
  { httpVersionMajor, httpVersion, rawHeaders, headers }: IncomingMessage,
): string | undefined {
  // Node joins repeated headers. Go supports only a single header with this coding (`parseTransferEncoding`).
  const { "transfer-encoding": coding = "chunked" } = headers;
  if (coding.toLowerCase() !== "chunked") return NOT_IMPLEMENTED;
  if (httpVersionMajor > 1) return "505 HTTP Version Not Supported: unsupported protocol version";
  let host: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length !== 4 || name.toLowerCase() !== "host") continue;
    if (host !== undefined) return BAD_REQUEST;
    host = rawHeaders[index + 1]!;
  }
  if (host === undefined) return httpVersion === "1.0" ? undefined : `${BAD_REQUEST}: missing required Host header`;
  return VALID_HOST.test(host) ? undefined : `${BAD_REQUEST}: malformed Host header`;
}

/** How Go recognizes a request where a TLS record should begin (`net/http`, tlsRecordHeaderLooksLikeHTTP). */
const PLAIN_REQUESTS: readonly string[] = ["GET /", "HEAD ", "POST ", "PUT /", "OPTIO"];
const LATIN1 = new TextDecoder("latin1");

/**
 * Answers a client that speaks HTTP without TLS, and passes every other connection to `secure`. The first bytes are read
 * before TLS begins, because a TLS layer answers a plain request with an alert.
 */
export function refusePlainHttp(socket: Duplex, secure: () => void): void {
  socket.once("data", (first: Uint8Array) => {
    socket.pause();
    const begins = LATIN1.decode(first.subarray(0, 5));
    if (PLAIN_REQUESTS.includes(begins)) {
      end(socket, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
      return;
    }
    socket.unshift(first);
    secure();
  });
}

/**
 * Writes the last bytes of a connection, and closes it a moment later, so that a client can read them while it still
 * writes.
 */
function end(socket: Duplex, bytes: string): void {
  socket.end(bytes);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

/** Ends the connection of an answered request whose client is still sending the body. */
export function refuseRest(message: IncomingMessage): void {
  if (message.complete || message.destroyed) return;
  const timer = setTimeout(() => message.socket.destroySoon(), LINGER_MS);
  message.resume().once("close", () => clearTimeout(timer));
}

export interface Refusals {
  /** Registers a request and its response. Requests may be pipelined, so a connection may have several responses. */
  requestStarted(socket: Duplex, outgoing: ServerResponse): void;
  /**
   * Answers with a status and ends the connection, without reading any more from it. When another answer has begun, the
   * connection ends at once.
   */
  refuse(status: string, socket: Duplex): void;
  /** Refuses a request that Node's parser does not accept. After a TLS error the connection ends without an answer. */
  refuseUnparsed(error: NodeJS.ErrnoException, socket: Duplex): void;
}

export function createRefusals(): Refusals {
  const refused = new WeakSet<object>();
  const answering = new WeakMap<object, Set<ServerResponse>>();

  function refuse(status: string | undefined, socket: Duplex): void {
    // The parser reports an error again for each further chunk of the connection.
    if (refused.has(socket)) return;
    refused.add(socket);
    // When more bytes arrive, Node may already have reused the parser of this socket for another one.
    socket.removeAllListeners("data").pause();
    const hasAnswer = [...answering.get(socket) ?? []].some(({ headersSent }) => headersSent);
    if (!socket.writable || hasAnswer || status === undefined) {
      socket.destroy();
      return;
    }
    end(
      socket,
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${
        TEXTS.get(status) ?? status
      }`,
    );
  }

  return {
    requestStarted(socket, outgoing) {
      const answers = answering.get(socket) ?? new Set();
      answering.set(socket, answers.add(outgoing));
      outgoing.once("close", () => answers.delete(outgoing));
    },
    refuse,
    refuseUnparsed({ code = "" }, socket) {
      refuse(/^ERR_(SSL|TLS)/.test(code) ? undefined : ANSWERS[code] ?? BAD_REQUEST, socket);
    },
  };
}

/** The cached certificate of each connection; null for a connection without one. */
const peers = new WeakMap<object, PeerCertificate | null>();

/**
 * Finds the certificate that a client presented. Only a socket with `authorized === true` counts as verified: on Deno a
 * handshake with the X.509 v1 certificate of another subject completes, unauthorized but with the certificate filled in.
 */
function findPeerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  let peer = peers.get(socket);
  if (peer === undefined) peers.set(socket, peer = readPeer(socket));
  return peer ?? undefined;
}

function readPeer(socket: TLSSocket): PeerCertificate | null {
  const leaf = socket.getPeerCertificate?.(true) as DetailedPeerCertificate | undefined;
  if (leaf?.raw === undefined) return null;
  const chain = readChain(leaf);
  return socket.authorized === true
    ? { kind: "verified", chain }
    : { kind: "unverified", reason: String(socket.authorizationError ?? "not authorized"), chain };
}

function readChain(leaf: DetailedPeerCertificate): readonly Uint8Array<ArrayBuffer>[] {
  const chain: Uint8Array<ArrayBuffer>[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined) {
    const key = Buffer.from(next.raw).toString("base64");
    if (seen.has(key)) break;
    seen.add(key);
    chain.push(new Uint8Array(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}
