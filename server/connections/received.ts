/** Requests as a connection receives them: streams of HTTP/2, and messages of HTTP/1. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { TLSSocket } from "node:tls";
import { isClosed, type Outgoing } from "../http/answer.ts";
import type { Incoming, RequestConnection } from "../http/exchange.ts";
import { findPeerCertificate } from "./tls.ts";

/** A request as a connection receives it, and where its answer goes. */
export interface Received extends Incoming {
  connection?: RequestConnection | undefined;
  readonly outgoing: Outgoing;
  readonly socket: TLSSocket;
  /** The session of HTTP/2; undefined for HTTP/1. */
  readonly session: ServerHttp2Session | undefined;
  /** Ends the reading of a body that is no longer needed; the rest is discarded. */
  discardBody(): void;
  /** Ends the request at once. */
  abort(): void;
}

/** The arguments of the event `stream`; Node's types of a secure server have a part of them only. */
export type StreamEvent = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
];

/** Converts a stream of HTTP/2; undefined when it is over, or answered already. */
export function fromStream(
  stream: ServerHttp2Stream,
  { ":method": method = "", ":path": target = "/", expect }: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): Received | undefined {
  // A stream that its client ends needs no log line.
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
  // After the answer, the client need not send the rest of its body. Node itself ends only a body that was not begun.
  stream.once("finish", () => {
    if (stream.readableFlowing === true && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
  // When the client resets a stream with NO_ERROR, Node waits until the answer is written, which never happens.
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
          if (!body.readableEnded) reject(new Error("the client has sent a part of the body only"));
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
