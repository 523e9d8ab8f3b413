/** The heap of this process, on runtimes that can be told to collect garbage. */
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The state of the heap, and the load of the process that fills it. */
export interface Heap {
  /** The share of the time since the last call in which the event loop was busy, from 0 to 1. */
  busyShare(): number;
  /** Bytes of all objects, including garbage that is not collected yet. */
  usedBytes(): number;
  /** Collects garbage and returns memory to the system. This blocks the process, about 1 ms for each megabyte in use. */
  collect(): void;
}

/** The heap of Node; undefined on Deno, which has no way to start a collection. */
export function createSystemHeap(process: Pick<NodeJS.Process, "versions" | "memoryUsage">): Heap | undefined {
  if (process.versions["deno"] !== undefined) return undefined;
  let since = performance.eventLoopUtilization();
  let collectNow: ((options: object) => void) | undefined;
  return {
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, since);
      since = now;
      return utilization;
    },
    usedBytes: () => process.memoryUsage().heapUsed,
    collect() {
      collectNow ??= findCollector();
      collectNow({ type: "major", execution: "sync" });
    },
  };
}

/**
 * Gets V8's collector from a new context, which has `gc` while the flag is set. The flag is cleared again because Node
 * reuses its compile cache only under the same flags.
 */
function findCollector(): (options: object) => void {
  setFlagsFromString("--expose-gc");
  try {
    return runInNewContext("gc");
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}
