/** Answers to bytes over HTTP/1.1 that are no request: as Go's server gives them, and so that they arrive. */
import type { Duplex } from "node:stream";

/** As long as Go's server waits. */
const LINGER_MS = 500;

const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Request Entity Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};
const OTHER = "400 Bad Request";

const refused = new WeakSet<object>();

/**
 * Says what is wrong and closes our side, and the connection a moment later: a peer whose bytes meet a closed socket loses
 * the answer that was on its way. Nothing more is read.
 */
export function refuseWhatIsNoRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  // What has come already is a fault again and again.
  if (refused.has(socket)) return;
  refused.add(socket);
  // Its parser may be somebody else's by the time that more comes.
  socket.removeAllListeners("data").pause();
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const status = ANSWERS[error.code ?? ""] ?? OTHER;
  socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}
