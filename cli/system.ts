/** Adapters to the operating system: clock, randomness, heap, the tools of a command, and the state of the terminal. */
import { getRandomValues } from "node:crypto";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock, Random } from "../core/ports.ts";
import type { Heap } from "../instance/quiet_heap.ts";
import { createFilePort } from "../client/files.ts";
import type { Io, Tools } from "./io.ts";
import { USER_AGENT } from "../core/version.ts";

/**
 * The longest timer. After the machine was suspended, a missed deadline is noticed within this time. Also avoids timers
 * above 2³¹−1 ms, which would fire at once.
 */
const SLICE_MS = 30_000;

/** Creates the system's clock. It sleeps in slices of at most 30 s and reads the clock again after each. */
export function createSystemClock(): Clock {
  return {
    now: () => new Date(),
    async sleepUntil(deadline, signal) {
      signal.throwIfAborted();
      for (let leftMs = deadline.getTime() - Date.now(); leftMs > 0; leftMs = deadline.getTime() - Date.now()) {
        await delay(Math.min(leftMs, SLICE_MS), signal);
      }
    },
    elapsedMs: () => performance.now(),
    async sleep(ms, signal) {
      signal.throwIfAborted();
      const endsAt = performance.now() + ms;
      for (let leftMs = ms; leftMs > 0; leftMs = endsAt - performance.now()) {
        await delay(Math.min(leftMs, SLICE_MS), signal);
      }
    },
  };
}

/** Creates a source of randomness for keys. Its bytes come from the operating system. */
export function createSystemRandom(): Random {
  return {
    bytes: createPool(),
    float: () => Math.random(),
  };
}

export function createTools(io: Io, signal: AbortSignal, isDebug: boolean): Tools {
  const files = createFilePort();
  return {
    ...io,
    files,
    async connect(cluster) {
      const { createConnector } = await import("../client/transport/connect.ts");
      return await createConnector({ ...io, files, userAgent: USER_AGENT })(cluster);
    },
    signal,
    isDebug,
  };
}

/** Creates the heap of Node; undefined on Deno, which cannot start a garbage collection. */
export function createSystemHeap(process: Pick<NodeJS.Process, "versions" | "memoryUsage">): Heap | undefined {
  if (process.versions["deno"] !== undefined) return undefined;
  let since: ReturnType<typeof performance.eventLoopUtilization> | undefined;
  let collectNow: ((options: object) => void) | undefined;
  return {
    busyShare() {
      const now = performance.eventLoopUtilization();
      // The first result is the share since the start of the process.
      const { utilization } = since === undefined ? now : performance.eventLoopUtilization(now, since);
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

/**
 * Whether this process is in the foreground process group of its terminal; undefined where the system does not report
 * it. Neither runtime has `tcgetpgrp`, so this works only on Linux, which shows both groups in `/proc`
 * (proc_pid_stat(5)).
 */
export function isForegroundProcess(): boolean | undefined {
  try {
    return parseForeground(readFileSync("/proc/self/stat", "utf8"));
  } catch {
    return undefined;
  }
}

/** Compares `pgrp` with `tpgid` in the text of a `/proc/PID/stat`; undefined for a process without a terminal. */
export function parseForeground(stat: string): boolean | undefined {
  // The name of the program is in parentheses and may contain parentheses and spaces itself.
  const [, , pgrp, , , tpgid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (pgrp === undefined || tpgid === undefined || Number(tpgid) <= 0) return undefined;
  return pgrp === tpgid;
}

/** The number of bytes to get with one call to the operating system, which takes as long as one for 16 bytes. */
const POOL_BYTES = 4096;

/** Creates a pool of random bytes. Each byte is handed out once and then erased. */
function createPool(): Random["bytes"] {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (length) => {
    if (length > POOL_BYTES / 16) return getRandomValues(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      getRandomValues(pool);
      used = 0;
    }
    const taken = pool.slice(used, used + length);
    pool.fill(0, used, used + length);
    used += length;
    return taken;
  };
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
