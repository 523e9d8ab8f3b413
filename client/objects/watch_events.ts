/** The events of a watch: lines of JSON, each a `WatchEvent` (`apimachinery/pkg/apis/meta/v1/watch.go`). */
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { errorFromStatus } from "../../core/kube/status/status.ts";
import { decodeApiObject } from "./api.ts";

/** A decoded event of a watch. */
type ReceivedWatchEvent<T> =
  | { readonly kind: "changed" | "deleted"; readonly object: T }
  /** A new version without a change; `initialEventsEnd` ends the initial events of a watch-list. */
  | { readonly kind: "bookmark"; readonly resourceVersion: string; readonly initialEventsEnd: boolean };

/** The annotation of the bookmark that ends the initial events of a watch-list. */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** Decodes an event. An event of type ERROR throws the error of its Status, such as 410 for an expired version. */
export function decodeWatchEvent<T extends KubeObject>(value: unknown): ReceivedWatchEvent<T> {
  const { type, object } = typeof value === "object" && value !== null
    ? value as { readonly type?: unknown; readonly object?: unknown } // both fields are checked below
    : {};
  switch (type) {
    case "ADDED":
    case "MODIFIED":
      return { kind: "changed", object: decodeApiObject<T>(object, "watch") };
    case "DELETED":
      return { kind: "deleted", object: decodeApiObject<T>(object, "watch") };
    case "BOOKMARK": {
      const { resourceVersion = "", annotations = {} } = decodeApiObject<T>(object, "watch").metadata;
      return { kind: "bookmark", resourceVersion, initialEventsEnd: annotations[INITIAL_EVENTS_END] === "true" };
    }
    case "ERROR":
      throw errorFromStatus(500, object);
    default:
      throw new AppError("api_error", `cannot read the watch: unknown event type ${JSON.stringify(type)}`);
  }
}

/** etcd refuses objects above 1.5 MB; JSON and the event around it are somewhat larger. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** Yields each line as a parsed value. A last line without its newline is a retryable error, because it was cut off. */
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
    throw new AppError("api_error", `cannot read the watch: ${getErrorMessage(cause)}`, { cause });
  }
}

function decodeLine(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  // Most lines arrive in one chunk, and decoding it at once is much faster.
  if (pieces.length === 1) return decoder.decode(pieces[0]);
  return pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
}
