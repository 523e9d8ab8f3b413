/** Bytes over HTTP/1.1 that are no request: refused as by Go's server, so that the answer arrives. */
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** As long as Go's server waits. */
const LINGER_MS = 500;

const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Request Entity Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};
const OTHER = "400 Bad Request";

/** Refuses on behalf of a server. */
export interface Refusals {
  /** A request has come on a connection, and this sends its answer: maybe after others, as requests may be pipelined. */
  began(socket: Duplex, outgoing: ServerResponse): void;
  /**
   * Says what is wrong and closes our side, and the connection a moment later: a peer whose bytes meet a closed socket
   * loses the answer that was on its way. Nothing more is read. Where another answer has begun, and where there is no
   * TLS yet, the connection ends at once.
   */
  refuse(error: NodeJS.ErrnoException, socket: Duplex): void;
}

/** For a server of its own. */
export function createRefusals(): Refusals {
  const refused = new WeakSet<object>();
  const answering = new WeakMap<object, Set<ServerResponse>>();
  return {
    began(socket, outgoing) {
      const answers = answering.get(socket) ?? new Set();
      answering.set(socket, answers.add(outgoing));
      outgoing.once("close", () => answers.delete(outgoing));
    },
    refuse(error, socket) {
      // What has come already is a fault again and again.
      if (refused.has(socket)) return;
      refused.add(socket);
      // Its parser may be somebody else's by the time that more comes.
      socket.removeAllListeners("data").pause();
      const hasAnswer = [...answering.get(socket) ?? []].some(({ headersSent }) => headersSent);
      if (!socket.writable || hasAnswer || /^ERR_(SSL|TLS)/.test(error.code ?? "")) {
        socket.destroy();
        return;
      }
      const status = ANSWERS[error.code ?? ""] ?? OTHER;
      socket.end(
        `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
      );
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once("close", () => clearTimeout(timer));
    },
  };
}
