/** The answer to a request. It is sent no faster than the client reads. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";

/** The header values by lower-case name; each value of a list is sent on its own line. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/** A body that is produced while it is read. */
export interface AnswerStream {
  /** Returns the next piece, or undefined at the end. Only one call may be pending. */
  next(): Promise<Uint8Array | undefined>;
  /** Ends the stream, because no one reads it any more. A pending `next` resolves; a second call does nothing. */
  cancel(): void;
}

/** The bytes in one piece or in several consecutive ones, or a stream; undefined for no body. */
export type AnswerBody = Uint8Array | readonly Uint8Array[] | AnswerStream | undefined;

/** The status, headers and body of an answer. */
export interface Answer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: AnswerBody;
  /** Returns the value that the body encodes as JSON, for a client in the same process; absent for most answers. */
  readonly getValue?: () => unknown;
}

/** The size of one write: large enough for few calls, small enough that a slow reader occupies little memory. */
export const CHUNK_BYTES = 131_072;

export function isStream(body: AnswerBody): body is AnswerStream {
  return body !== undefined && "next" in body;
}

/** Copies the pieces of a body to chunks of `CHUNK_BYTES`, each in a buffer that `take` returns. */
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

export function sumLengths(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

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

/** The stream that an answer is written to: the response of HTTP/1 or the stream of HTTP/2. */
export type Outgoing = ServerResponse | ServerHttp2Stream;

/** Sends an answer. Resolves when the runtime has all of it, or when the client has disconnected. */
export async function sendAnswer({ status, headers, body }: Answer, outgoing: Outgoing): Promise<void> {
  if (isClosed(outgoing)) return cancel(body);
  // Node does not change the lists of values, but its types do not accept readonly ones.
  const head = headers as OutgoingHttpHeaders;
  if ("respond" in outgoing) outgoing.respond({ ":status": status, ...head }, { endStream: body === undefined });
  else outgoing.writeHead(status, head);
  if (body === undefined) return void outgoing.end();
  if (body instanceof Uint8Array) {
    if (body.length <= CHUNK_BYTES) outgoing.end(body);
    else if (await writeParts(body, outgoing)) outgoing.end();
    return;
  }
  if (isStream(body)) return await sendStream(body, outgoing);
  await sendPieces(body, outgoing);
}

/** Node's internal method that writes the head of an answer. */
interface HeadWriter {
  _storeHeader(statusLine: string, headers: unknown): void;
}

/**
 * Answers an HTTP/1.0 request with an HTTP/1.0 status line, like Go's server. Node and Deno always write HTTP/1.1.
 */
export function answerAsHttp10(outgoing: ServerResponse): void {
  const writer = outgoing as unknown as HeadWriter;
  const write = writer._storeHeader;
  writer._storeHeader = (statusLine, headers) =>
    write.call(writer, statusLine.replace(/^HTTP\/1\.1/, "HTTP/1.0"), headers);
}

/**
 * Sends the pieces in a few reused buffers, because new buffers for a long list would cause a full garbage collection.
 */
async function sendPieces(pieces: readonly Uint8Array[], outgoing: Outgoing): Promise<void> {
  const spare: Uint8Array[] = [];
  const take = (): Uint8Array => spare.pop() ?? new Uint8Array(CHUNK_BYTES);
  for (const chunk of toChunks(pieces, take)) {
    if (!await write(chunk, outgoing, () => void spare.push(chunk))) return;
  }
  outgoing.end();
}

async function sendStream(body: AnswerStream, outgoing: Outgoing): Promise<void> {
  outgoing.once("close", () => body.cancel());
  // A client waits for the headers before the first event. HTTP/2 sends them at once.
  if ("flushHeaders" in outgoing) outgoing.flushHeaders();
  for (let piece = await body.next(); piece !== undefined; piece = await body.next()) {
    if (!await writeParts(piece, outgoing)) break;
  }
  outgoing.end();
}

/** Writes bytes in parts of `CHUNK_BYTES`, because all streams of an HTTP/2 session share little memory. */
async function writeParts(bytes: Uint8Array, outgoing: Outgoing): Promise<boolean> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    if (!await write(bytes.subarray(at, at + CHUNK_BYTES), outgoing)) return false;
  }
  return true;
}

/** Writes a chunk, and returns false when the client has disconnected. */
async function write(chunk: Uint8Array, outgoing: Outgoing, written?: () => void): Promise<boolean> {
  if (isClosed(outgoing)) return false;
  if (outgoing.write(chunk, written)) return true;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
  });
  return !isClosed(outgoing);
}

function cancel(body: AnswerBody): void {
  if (isStream(body)) body.cancel();
}

/** Whether the client has disconnected, or the answer is complete. Node ends a stream of HEAD before it is answered. */
export function isClosed(outgoing: Outgoing): boolean {
  return outgoing.destroyed || outgoing.closed || (outgoing.writableEnded && outgoing.headersSent);
}
