/** The stream of events of an open page. An event says only that the page shows something that has changed. */
import type { Clock } from "../core/ports.ts";
import type { UiData } from "./data.ts";

/** The page that follows, and its state. */
export interface EventsOptions {
  readonly data: UiData;
  readonly clock: Clock;
  /** The ids of the watches that the page shows. */
  readonly live: readonly string[];
  /** The state that the page shows, from `describeVersion`. */
  readonly seen: string;
}

/** The shortest time between two events, in milliseconds: a storm of requests is one event a second. */
const PAUSE_MS = 1_000;
/** A line is sent after so long a silence, in milliseconds, so that both sides notice a connection that is gone. */
const SILENCE_MS = 20_000;

/** Answers with the events of a page, until the client leaves or the signal ends the stream. */
export function streamEvents(options: EventsOptions, signal: AbortSignal): Response {
  const leaving = new AbortController();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      // A client that has left makes `enqueue` throw.
      sendEvents(options, (text) => controller.enqueue(ENCODER.encode(text)), AbortSignal.any([signal, leaving.signal]))
        .catch(() => undefined)
        .finally(() => {
          if (!leaving.signal.aborted) controller.close();
        });
    },
    cancel: () => leaving.abort(new Error("the page is closed")),
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

const ENCODER = new TextEncoder();

async function sendEvents(options: EventsOptions, send: (text: string) => void, signal: AbortSignal): Promise<void> {
  const { data, clock, live } = options;
  let { seen } = options;
  send("retry: 2000\n\n");
  while (true) {
    const version = data.describeVersion(live);
    if (version !== seen) {
      seen = version;
      send("event: changed\ndata: 1\n\n");
      await clock.sleep(PAUSE_MS, signal);
    } else if (!await waitForChange(options, signal)) send(": still here\n\n");
  }
}

/** Waits for a change; returns false when there was none for long. */
async function waitForChange({ data, clock, live }: EventsOptions, signal: AbortSignal): Promise<boolean> {
  const done = new AbortController();
  const inner = AbortSignal.any([signal, done.signal]);
  const isChange = await Promise.race([
    data.waitForChange(live, inner).then(() => true, () => false),
    clock.sleep(SILENCE_MS, inner).then(() => false, () => false),
  ]);
  done.abort(new Error("the wait is over"));
  signal.throwIfAborted();
  return isChange;
}
