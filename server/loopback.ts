/**
 * A Transport to the app in the same process: in-process clients pass authorization, admission, validation and audit like
 * other clients, only without TLS.
 */
import type { Transport, TransportRequest } from "../core/ports.ts";
import type { UserInfo } from "../core/kube/user.ts";
import type { App } from "./app.ts";
import {
  type Answer,
  type AnswerBody,
  type AnswerHeaders,
  type AnswerStream,
  isStream,
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
      const answer = await app(createIncoming(request, user, userAgent, signal));
      const { status, headers, body } = answer;
      const values = readValues(answer, signal);
      return {
        status,
        headers: joinHeaders(headers),
        body: toBytes(body, signal),
        ...(values === undefined ? {} : { values }),
      };
    },
  };
}

function createIncoming(
  { method, path: target, headers, body }: TransportRequest,
  user: UserInfo,
  userAgent: string,
  signal: AbortSignal,
): Incoming {
  const rawHeaders = [...Object.entries(headers).flat(), "user-agent", userAgent];
  const readBody: Incoming["readBody"] = (take) => Promise.resolve(void (body !== undefined && take(body)));
  return { method, target, rawHeaders, peer: undefined, remoteAddress: LOOPBACK_ADDRESS, user, signal, readBody };
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
  if (isStream(body)) yield* readStream(body, () => body.next(), signal);
  else if (body instanceof Uint8Array) yield body;
  else yield* toChunks(body);
}

function readValues({ body, getValue }: Answer, signal: AbortSignal): AsyncIterable<unknown> | undefined {
  if (isStream(body) && body.nextEvents !== undefined) return readEvents(body, body.nextEvents, signal);
  return getValue === undefined ? undefined : toIterable(getValue);
}

async function* toIterable(getValue: () => unknown): AsyncGenerator<unknown> {
  yield getValue();
}

async function* readEvents(
  body: AnswerStream,
  next: () => Promise<readonly unknown[] | undefined>,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  for await (const events of readStream(body, next, signal)) yield* events;
}

/** Leaving the loop early or aborting ends the stream, and so its watch. */
async function* readStream<T>(
  body: AnswerStream,
  next: () => Promise<T | undefined>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const cancel = (): void => body.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    for (let piece = await next(); piece !== undefined; piece = await next()) yield piece;
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
