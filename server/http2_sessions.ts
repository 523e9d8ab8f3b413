/**
 * The end of HTTP/2 sessions on Deno. Deno 2.9 frees a session that is destroyed while nghttp2 reads a frame for it, such
 * as the GOAWAY of a peer that takes its leave, and nghttp2 goes on with what is free: tens of goodbyes end the process by
 * SIGSEGV or SIGABRT. Node waits until the frame is read.
 */
import * as http2 from "node:http2";

interface Session {
  readonly destroyed: boolean;
  destroy(...args: unknown[]): void;
}

/** Deno's alone. */
const { Http2Session } = http2 as { readonly Http2Session?: { readonly prototype: Session } };
let isDone = false;
const ending = new WeakSet<object>();

/** Has every session of this process end one turn of the event loop after it is told to, where the runtime needs that. */
export function deferSessionDestroy(): void {
  if (isDone || Http2Session === undefined) return;
  isDone = true;
  const destroy = Http2Session.prototype.destroy;
  Http2Session.prototype.destroy = function (this: Session, ...args) {
    ending.add(this);
    setImmediate(() => destroy.apply(this, args));
  };
}

/** Whether a session was told to end, even where that takes another turn of the event loop. */
export function isEnding(session: Pick<Session, "destroyed">): boolean {
  return session.destroyed || ending.has(session);
}
