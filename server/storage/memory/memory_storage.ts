/** A store that ends with the process, for tests and other uses where nothing has to last. */
import type { Clock, Logger } from "../../../core/ports.ts";
import { EMPTY_START, Engine } from "./engine.ts";
import {
  DEFAULT_STORAGE_TIMES,
  type Journal,
  JournaledStorage,
  type StorageLimits,
  type StorageTimes,
} from "./journaled_storage.ts";
import type { Storage } from "../storage.ts";

/** The options of a store in memory; times in milliseconds. */
export interface MemoryStorageDeps extends Partial<StorageTimes>, StorageLimits {
  readonly clock: Clock;
  readonly logger?: Logger;
}

/** Opens an empty store in memory. Its writes commit before the event loop turns. */
export function createMemoryStorage(deps: MemoryStorageDeps): Storage {
  return new JournaledStorage({
    ...DEFAULT_STORAGE_TIMES,
    ...deps,
    name: "memory",
    engine: new Engine(EMPTY_START),
    journal: NO_JOURNAL,
    logger: deps.logger,
    writtenAt: new Map(),
    schedule: queueMicrotask,
  });
}

const NO_JOURNAL: Journal = { async commit() {}, check() {}, close() {} };
