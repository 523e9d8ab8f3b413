/** Writes an answer to the connection, no faster than the client reads it. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { type Answer, type AnswerBody, type AnswerStream, CHUNK_BYTES, isStream, toChunks } from "./answer.ts";

/** Node's response. That of HTTP/2 imitates the one of HTTP/1, but its state is that of its stream. */
type Outgoing = ServerResponse & { readonly stream?: { readonly destroyed: boolean } | null };

/** Sends an answer; resolves when the runtime has all of it, or when the client has disconnected. */
export async function sendAnswer({ status, headers, body }: Answer, outgoing: Outgoing): Promise<void> {
  if (isGone(outgoing)) return cancel(body);
  // Node's types do not accept readonly lists, which Node does not change.
  outgoing.writeHead(status, headers as OutgoingHttpHeaders);
  if (body === undefined) return void outgoing.end();
  if (body instanceof Uint8Array) return void outgoing.end(body);
  if (isStream(body)) return await sendStream(body, outgoing);
  await sendPieces(body, outgoing);
}

/** The method with which Node writes the head; its types do not have it. */
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
  // A client waits for the headers before it waits for the first event.
  outgoing.flushHeaders();
  for (let piece = await body.next(); piece !== undefined; piece = await body.next()) {
    if (!await write(piece, outgoing)) break;
  }
  outgoing.end();
}

/** Writes a chunk, and returns false when the client has disconnected. */
async function write(chunk: Uint8Array, outgoing: Outgoing, written?: () => void): Promise<boolean> {
  if (isGone(outgoing)) return false;
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
  return !isGone(outgoing);
}

function cancel(body: AnswerBody): void {
  if (isStream(body)) body.cancel();
}

function isGone(outgoing: Outgoing): boolean {
  return outgoing.destroyed || outgoing.writableEnded || outgoing.stream?.destroyed === true;
}
