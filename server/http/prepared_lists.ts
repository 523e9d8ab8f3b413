/**
 * Prepares what a list sends of each object, so that a list of thousands is fast after many changes: the rows of Tables,
 * from the first Table on, and the JSON of objects that came from a shared store in its own encoding.
 */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../core/ports.ts";
import { toKeyPrefix } from "../registry/registry.ts";
import type { Resource } from "../registry/resource.ts";
import { followResource } from "../storage/follow.ts";
import type { Storage, StorageEvent, Stored } from "../storage/storage.ts";
import { dropRow, prepareRow } from "./table.ts";

/** The pause before changes are prepared, because a request often changes three times in its first second. */
const PAUSE_MS = 1_000;
/** With more changes than this in a pause, another one follows, so that a storm of nodes is served first. */
const FEW_CHANGES = 10;
/** How many objects are prepared before other work may run; each takes up to 50 µs. */
const PREPARED_AT_ONCE = 20;

/** Prepares the objects of a resource that exist, and then those that change, until it is disposed. */
export async function prepareLists(
  storage: Pick<Storage, "list" | "watch">,
  resource: Resource,
  clock: Pick<Clock, "sleep">,
): Promise<Disposable> {
  const waiting = new Set<Stored>();
  const stopping = new AbortController();
  let isPausing = false;
  let changes = 0;

  async function prepareSoon(): Promise<void> {
    if (isPausing) return;
    isPausing = true;
    let seen: number;
    do {
      seen = changes;
      await clock.sleep(PAUSE_MS, stopping.signal);
    } while (changes - seen > FEW_CHANGES);
    isPausing = false;
    let prepared = 0;
    for (const stored of [...waiting]) {
      // A state that was replaced in the meantime is skipped.
      if (!waiting.delete(stored)) continue;
      prepare(resource, stored);
      if (++prepared % PREPARED_AT_ONCE === 0) await setImmediate();
    }
  }

  function add(stored: Stored): void {
    waiting.add(stored);
    // It rejects only when it is disposed.
    prepareSoon().catch(() => undefined);
  }

  function drop({ previous }: StorageEvent): void {
    changes++;
    if (previous === undefined) return;
    waiting.delete(previous);
    dropRow(previous);
  }

  const watch = await followResource(storage, toKeyPrefix(resource, ""), {
    clear: () => waiting.clear(),
    added(_name, stored, change) {
      if (change !== undefined) drop(change);
      add(stored);
    },
    removed: (_name, change) => drop(change),
  });
  return {
    [Symbol.dispose]() {
      watch.stop();
      waiting.clear();
      stopping.abort(new Error("lists are no longer prepared"));
    },
  };
}

function prepare(resource: Resource, stored: Stored): void {
  try {
    prepareRow(resource, stored);
    // Reading the bytes encodes them.
    void stored.bytes;
  } catch {
    // A list reports an object that it cannot show.
  }
}
