/** Newline-delimited JSON as a watch sends it. */
import { AppError, messageOf } from "../core/errors.ts";

/** etcd refuses objects above 1.5 MB; JSON and the event around it are somewhat larger. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Each line as a parsed value; a last line without its newline was cut off and is an error (retryable). */
export async function* readJsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      pieces.push(chunk.subarray(from, end));
      yield parseLine(pieces);
      pieces = [];
      length = 0;
      from = end + 1;
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > MAX_LINE_BYTES) {
      throw new AppError("api_error", `cannot read the watch: an event is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }
  if (pieces.length > 0) {
    throw new AppError("unreachable", "cannot read the watch: it was cut off in an event", { retryable: true });
  }
}

function parseLine(pieces: readonly Uint8Array[]): unknown {
  try {
    return JSON.parse(decodeLine(pieces));
  } catch (cause) {
    throw new AppError("api_error", `cannot read the watch: ${messageOf(cause)}`, { cause });
  }
}

function decodeLine(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  // Most lines come in one piece, which is decoded much faster as a whole.
  if (pieces.length === 1) return decoder.decode(pieces[0]);
  return pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
}
