/** Support for soak tests of client-go programs, whose server is restarted meanwhile. */
import process from "node:process";
import { isFullRun } from "../full_run.ts";
import { type Child, spawnTlsboot } from "../child.ts";
import { type RunningInstance, waitUntilUp } from "./instance.ts";

export const SOAK_SECONDS: number = isFullRun ? 300 : 90;

/** The final output of tests/interop/peers/kubernetes/cmd/soak, which documents the fields. */
export interface SoakVerdict {
  readonly seconds: number;
  readonly informers: readonly {
    readonly name: string;
    readonly live: number;
    readonly resumed: number;
    readonly synced: number;
    readonly missed: number;
    readonly ended: readonly string[];
  }[];
  readonly writers: readonly {
    readonly kind: string;
    readonly created: number;
    readonly changed: number;
    readonly removed: number;
    readonly unanswered: number;
  }[];
  readonly leadership: {
    readonly leaseSeconds: number;
    readonly terms: readonly { readonly holder: string; readonly from: string; readonly until: string }[];
    readonly renewals: readonly string[];
    readonly crashes: readonly string[];
    readonly transitions: number;
  };
  readonly faults: readonly string[];
}

/** Waits in real time while the programs work. */
export function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** A restarted `up` with the same port and data directory. */
interface Restart extends AsyncDisposable {
  readonly running: Child;
  /** The exit code of the previous server. */
  readonly code: number;
  readonly upAt: Date;
}

/** Stops the server of an instance, and starts it again after `whileDown`. */
export async function restart(
  instance: RunningInstance,
  running: Child,
  signal: "SIGTERM" | "SIGKILL",
  whileDown: () => Promise<void> = () => Promise.resolve(),
): Promise<Restart> {
  // With `running.kill`, Deno would report the signal instead of the exit code.
  process.kill(running.pid, signal);
  const { code } = await running.finished();
  await whileDown();
  const again = spawnTlsboot([
    ...["up", "--secure-port", new URL(instance.server).port, "--data-dir", instance.dataDir],
  ]);
  try {
    await waitUntilUp(again);
  } catch (error) {
    await again[Symbol.asyncDispose]();
    throw error;
  }
  return {
    running: again,
    code,
    upAt: new Date(),
    [Symbol.asyncDispose]: () => again[Symbol.asyncDispose](),
  };
}
