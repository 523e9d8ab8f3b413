/** Requests and responses of the Fetch API, for programs that serve the API themselves. */
import { type Answer, type AnswerBody, isStream, joinPieces } from "./answer.ts";
import type { Incoming } from "./exchange.ts";

/** Converts a `Request` of the Fetch API. `client` has the facts of its connection, such as the address. */
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
