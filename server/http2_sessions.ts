/**
 * The end of HTTP/2 sessions on Deno. Deno 2.9 frees a session that is destroyed while nghttp2 reads a frame for it, such
 * as the GOAWAY of a peer that takes its leave, and nghttp2 goes on with what is free: one goodbye in a few hundred ends
 * the process by SIGSEGV or SIGABRT (denoland/deno#36788). Node waits until the frame is read.
 */
import * as http2 from "node:http2";

interface Destroyable {
  destroy(...args: unknown[]): void;
}

/** Deno's alone. */
const { Http2Session } = http2 as { readonly Http2Session?: { readonly prototype: Destroyable } };
let isDone = false;

/** Has every session of this process end one turn of the event loop after it is told to, where the runtime needs that. */
export function endSessionsOutsideOfFrames(): void {
  if (isDone || Http2Session === undefined) return;
  isDone = true;
  const destroy = Http2Session.prototype.destroy;
  Http2Session.prototype.destroy = function (this: Destroyable, ...args) {
    setImmediate(() => destroy.apply(this, args));
  };
}
