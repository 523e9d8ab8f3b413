/**
 * A Transport into our own app: in-process clients pass authorization, admission, validation and audit like anybody;
 * only TLS is left out.
 */
import type { Transport, TransportRequest, TransportResponse } from "../core/ports.ts";
import type { UserInfo } from "../core/kube/user.ts";
import type { App } from "./app.ts";

/** Builds the transport of one in-process user. */
export function createLoopbackTransport(app: App, user: UserInfo, userAgent: string): Transport {
  return {
    async send(request: TransportRequest, signal: AbortSignal): Promise<TransportResponse> {
      signal.throwIfAborted();
      const { method, path, headers, body } = request;
      const response = await app(
        new Request(`https://in-process${path}`, {
          method,
          headers: { "user-agent": userAgent, ...headers },
          ...(body === undefined ? {} : { body }),
        }),
        { peer: undefined, remoteAddress: "in-process", rawHeaders: [], user, signal },
      );
      return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        body: bodyOf(response, signal),
      };
    },
  };
}

/**
 * Leaving the loop early or aborting cancels the stream, and with it the watch behind it. The abort is heard here too:
 * nobody holds the request of a running watch, and with a collected request its signal is gone.
 */
async function* bodyOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    await reader.cancel();
  }
}
