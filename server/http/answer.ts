/** What a request is answered with, before anything of it is on the wire. */

/** Values by lower-case name; several values of one name are sent in a line each. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/** A body that comes to be while it is read. */
export interface AnswerStream {
  /** The next piece; undefined at the end. One call at a time. */
  next(): Promise<Uint8Array | undefined>;
  /** Nobody reads on: a waiting `next` ends. A second call does nothing. */
  cancel(): void;
}

/** Bytes in one piece or in many that are sent one after the other, or a stream; undefined for none. */
export type AnswerBody = Uint8Array | readonly Uint8Array[] | AnswerStream | undefined;

/** Status, headers and body. */
export interface Answer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: AnswerBody;
}

/** What is sent together: enough to be worth a call, little enough that a slow reader holds up no memory. */
export const CHUNK_BYTES = 131_072;

/** Tells whether a body is a stream. */
export function isStream(body: AnswerBody): body is AnswerStream {
  return body !== undefined && "next" in body;
}

/** The pieces of a body that is there, copied to chunks of `CHUNK_BYTES`, each in memory that `take` gives. */
export function* toChunks(
  pieces: readonly Uint8Array[],
  take: () => Uint8Array = () => new Uint8Array(CHUNK_BYTES),
): Generator<Uint8Array> {
  let chunk = take();
  let at = 0;
  for (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const room = chunk.length - at;
      const part = from === 0 && piece.length <= room ? piece : piece.subarray(from, from + room);
      chunk.set(part, at);
      from += part.length;
      at += part.length;
      if (at < chunk.length) continue;
      yield chunk;
      chunk = take();
      at = 0;
    }
  }
  if (at > 0) yield chunk.subarray(0, at);
}

/** How many bytes some pieces are together. */
export function sumLengths(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

/** One piece out of many. */
export function joinPieces(
  pieces: readonly Uint8Array[],
  length: number = sumLengths(pieces),
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The answer as the web knows it. */
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
