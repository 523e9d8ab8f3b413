/**
 * The app without a listener: a Transport to it in the same process, and conversions of the Fetch API's requests and
 * responses for programs that serve the API themselves. In-process clients pass authorization, admission, validation
 * and audit like other clients, but use no TLS.
 */
import type { Transport, TransportRequest } from "../core/ports.ts";
import type { UserInfo } from "../core/kube/user.ts";
import { jsonBytes } from "../core/kube/wire/object_json.ts";
import type { App } from "./app.ts";
import {
  type Answer,
  type AnswerBody,
  type AnswerHeaders,
  type AnswerStream,
  isStream,
  joinPieces,
  toChunks,
} from "./http/answer.ts";
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

/** Reads the pieces of a stream. Leaving the loop early or aborting ends the stream and its watch. */
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

/** Converts a `Request` of the Fetch API. `client` describes its connection, such as the address. */
export function fromRequest(
  request: Request,
  client: Pick<Incoming, "peer" | "remoteAddress" | "user" | "connection">,
): Incoming {
  const { method, url: target, headers, signal, body } = request;
  return {
    ...client,
    method,
    target,
    rawHeaders: [...headers].flat(),
    signal,
    async readBody(take) {
      for await (const piece of body ?? []) if (!take(piece)) return;
    },
  };
}

/** Converts an answer to a `Response` of the Fetch API. */
export function toResponse({ status, headers, body }: Answer): Response {
  const lines = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const line of typeof value === "string" ? [value] : value) lines.append(name, line);
  }
  return new Response(toWebBody(body) as BodyInit | null, { status, headers: lines });
}

function toWebBody(body: AnswerBody): ReadableStream<Uint8Array> | Uint8Array | null {
  if (body === undefined) return null;
  if (!isStream(body)) return body instanceof Uint8Array ? body : joinPieces(body);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = await body.next();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
    cancel: () => body.cancel(),
  }, { highWaterMark: 0 });
}
