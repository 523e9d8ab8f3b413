/**
 * A Transport to the app in the same process: in-process clients pass authorization, admission, validation and audit like
 * other clients, only without TLS.
 */
import type { Transport, TransportRequest } from "../core/ports.ts";
import type { UserInfo } from "../core/kube/user.ts";
import { jsonBytes } from "../core/kube/wire/encode.ts";
import type { App } from "./app.ts";
import { type AnswerBody, type AnswerHeaders, type AnswerStream, isStream, toChunks } from "./http/answer.ts";
import type { Incoming } from "./http/exchange.ts";

/** The source address of in-process requests in the audit log, like that of kube-apiserver's own requests. */
const LOOPBACK_ADDRESS = "::1";

/** Creates the transport of one in-process user. */
export function createLoopbackTransport(app: App, user: UserInfo, userAgent: string): Transport {
  return {
    async send(request, signal) {
      signal.throwIfAborted();
      const { status, headers, body, getValue } = await app(createIncoming(request, user, userAgent, signal));
      return {
        status,
        headers: joinHeaders(headers),
        body: toBytes(body, signal),
        ...(getValue === undefined ? {} : { value: getValue() }),
      };
    },
  };
}

function createIncoming(
  { method, path: target, headers, body: value }: TransportRequest,
  user: UserInfo,
  userAgent: string,
  signal: AbortSignal,
): Incoming {
  const rawHeaders = [...Object.entries(headers).flat(), "user-agent", userAgent];
  const readBody: Incoming["readBody"] = (take) =>
    Promise.resolve(void (value !== undefined && take(jsonBytes(value))));
  return {
    method,
    target,
    rawHeaders,
    peer: undefined,
    remoteAddress: LOOPBACK_ADDRESS,
    user,
    signal,
    value,
    readBody,
  };
}

function joinHeaders(headers: AnswerHeaders): Readonly<Record<string, string>> {
  const joined: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    joined[name] = typeof value === "string" ? value : value.join(", ");
  }
  return joined;
}

async function* toBytes(body: AnswerBody, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (body === undefined) return;
  if (isStream(body)) yield* readStream(body, signal);
  else if (body instanceof Uint8Array) yield body;
  else yield* toChunks(body);
}

/** Leaving the loop early or aborting ends the stream, and so its watch. */
async function* readStream(body: AnswerStream, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const cancel = (): void => body.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    for (let piece = await body.next(); piece !== undefined; piece = await body.next()) yield piece;
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
