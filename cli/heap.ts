/** The heap of this process, where it can be asked to give back what it does not need. */
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is known of the heap and of the work that fills it. */
export interface Heap {
  /** The share of the time since the last call in which the event loop was busy, from 0 to 1. */
  busyShare(): number;
  /** Bytes of objects, with those that nobody needs any more. */
  usedBytes(): number;
  /** Collects garbage and gives memory back to the system. Everything waits: 1 ms for each megabyte that is in use. */
  collect(): void;
}

/** The heap of Node; undefined on Deno, which does not let itself be asked. */
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

/** Contexts that are made while the flag is set have it. Compiled code that is kept is of use under the same flags only. */
function findCollector(): (options: object) => void {
  setFlagsFromString("--expose-gc");
  try {
    return runInNewContext("gc");
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}
