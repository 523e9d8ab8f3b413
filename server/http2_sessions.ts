/**
 * A workaround for HTTP/2 sessions on Deno. Deno 2.9 frees a session that is destroyed while nghttp2 reads a frame for it,
 * such as the GOAWAY of a peer, and nghttp2 then uses the freed memory: tens of GOAWAY frames end the process by SIGSEGV
 * or SIGABRT. Node waits until the frame is read.
 */
import * as http2 from "node:http2";

interface Session {
  readonly destroyed: boolean;
  destroy(...args: unknown[]): void;
}

/** Only Deno exports this class. */
const { Http2Session } = http2 as { readonly Http2Session?: { readonly prototype: Session } };
let isDone = false;
const ending = new WeakSet<object>();

/** Delays the destruction of every session in this process by one turn of the event loop, on Deno only. */
export function deferSessionDestroy(): void {
  if (isDone || Http2Session === undefined) return;
  isDone = true;
  const destroy = Http2Session.prototype.destroy;
  Http2Session.prototype.destroy = function (this: Session, ...args) {
    ending.add(this);
    setImmediate(() => destroy.apply(this, args));
  };
}

/** Whether a session is destroyed, or will be in the next turn of the event loop. */
export function isEnding(session: Pick<Session, "destroyed">): boolean {
  return session.destroyed || ending.has(session);
}
