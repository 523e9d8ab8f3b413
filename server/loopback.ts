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
import type { IncomingRequest } from "./http/exchange.ts";

/** The source address of in-process requests in the audit log, like that of kube-apiserver's own requests. */
const LOOPBACK_ADDRESS = "::1";

/** Creates the transport of one in-process user. */
export function createLoopbackTransport(app: App, user: UserInfo, userAgent: string): Transport {
  return {
    async send(request, signal) {
      signal.throwIfAborted();
      const { path: target } = request;
      const caller = { peer: undefined, remoteAddress: LOOPBACK_ADDRESS, rawHeaders: [], target, user, signal };
      const answer = await app(new InProcessRequest(request, userAgent, signal), caller);
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

class InProcessRequest implements IncomingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingRequest["headers"];
  readonly signal: AbortSignal;
  readonly #sent: Uint8Array<ArrayBuffer> | undefined;

  constructor({ method, path, headers, body }: TransportRequest, userAgent: string, signal: AbortSignal) {
    this.method = method;
    this.url = `https://in-process${path}`;
    this.signal = signal;
    this.#sent = body;
    const lines = new Map([["user-agent", userAgent]]);
    for (const name in headers) lines.set(name.toLowerCase(), headers[name] ?? "");
    if (body !== undefined) lines.set("content-length", String(body.length));
    this.headers = { get: (name) => lines.get(name) ?? null };
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#sent === undefined ? null : new Blob([this.#sent]).stream();
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    const sent = this.#sent ?? new Uint8Array(0);
    // A whole buffer is passed on without a copy, because its sender does not use it again.
    return Promise.resolve(sent.byteLength === sent.buffer.byteLength ? sent.buffer : sent.slice().buffer);
  }
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
