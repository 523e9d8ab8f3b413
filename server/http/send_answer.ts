/** Puts an answer on the wire, no faster than the client reads it. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { type Answer, type AnswerBody, type AnswerStream, CHUNK_BYTES, isStream, toChunks } from "./answer.ts";

/** Node's response; that of HTTP/2 is made to stand for one of HTTP/1, and says by its stream what became of it. */
type Outgoing = ServerResponse & { readonly stream?: { readonly destroyed: boolean } | null };

/** Sends everything; resolves when it has been handed over, or when the client is gone. */
export async function sendAnswer({ status, headers, body }: Answer, outgoing: Outgoing): Promise<void> {
  if (isGone(outgoing)) return cancel(body);
  // Node's types do not say that it leaves the lists alone.
  outgoing.writeHead(status, headers as OutgoingHttpHeaders);
  if (body === undefined) return void outgoing.end();
  if (body instanceof Uint8Array) return void outgoing.end(body);
  if (isStream(body)) return await sendStream(body, outgoing);
  await sendPieces(body, outgoing);
}

/** What Node writes a head with; its types do not have it. */
interface HeadWriter {
  _storeHeader(statusLine: string, headers: unknown): void;
}

/**
 * Has a request of HTTP/1.0 answered with a status line of HTTP/1.0, as Go's server does: Node and Deno write that of
 * HTTP/1.1, whatever the request.
 */
export function answerAsHttp10(outgoing: ServerResponse): void {
  const writer = outgoing as unknown as HeadWriter;
  const write = writer._storeHeader;
  writer._storeHeader = (statusLine, headers) =>
    write.call(writer, statusLine.replace(/^HTTP\/1\.1/, "HTTP/1.0"), headers);
}

/**
 * In a few buffers that are used again and again: new ones of a long list would have the garbage collector look through
 * everything.
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

/** False when there is nobody to write to any more. */
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
