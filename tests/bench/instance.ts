/** An instance on which nodes can bootstrap: ours or the peer's. */
import type { TempFolder } from "../support/temp.ts";
import { readUsage, type Usage } from "./processes.ts";
import type { Reading } from "./scenario.ts";

/** A running instance. Disposing it ends its processes and removes its folder. */
export interface BenchInstance extends AsyncDisposable {
  readonly folder: TempFolder;
  /** A bootstrap kubeconfig for each server; clients are spread over them. */
  readonly bootstrapKubeconfigs: readonly string[];
  /** An administrator's kubeconfig for each server. */
  readonly adminKubeconfigs: readonly string[];
  /** The processes of the servers and of etcd. */
  readonly pids: readonly number[];
  /** The processes of etcd, which are also in `pids`. */
  readonly etcdPids: readonly number[];
}

/** The usage of an instance, and of its etcd if it has one. */
export type Used = Required<Pick<Reading, "usage">> & Pick<Reading, "etcd">;

/** Runs an action, and returns its result with the CPU seconds of the servers and their memory at the end. */
export async function measureReading(
  instance: BenchInstance,
  act: () => Promise<Omit<Reading, keyof Used>>,
): Promise<Reading & Used> {
  const before = usedBy(instance);
  return { ...await act(), ...usedSince(before, instance) };
}

/** Reads the usage of an instance since its start. */
export function usedBy({ pids, etcdPids }: BenchInstance): Used {
  return { usage: readUsage(pids), ...(etcdPids.length === 0 ? {} : { etcd: readUsage(etcdPids) }) };
}

/** Reads the usage of an instance since an earlier reading. */
export function usedSince(before: Used, instance: BenchInstance): Used {
  const now = usedBy(instance);
  const usage = since(before.usage, now.usage);
  return before.etcd === undefined || now.etcd === undefined
    ? { usage }
    : { usage, etcd: since(before.etcd, now.etcd) };
}

/** Returns the usage between two readings. */
export function since(before: Usage, after: Usage): Usage {
  return { ...after, cpuSeconds: after.cpuSeconds - before.cpuSeconds };
}

/** Measures the resident memory of an idle instance in MB (10^6 bytes). */
export async function restingMegabytes(instance: BenchInstance): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  return readUsage(instance.pids).residentBytes / 1e6;
}

/** Long enough for the work that a server does after its last answer. */
const REST_MS = 15_000;

/**
 * Starts several servers at once. The owner of the stack disposes them, including those that started although another
 * one failed.
 */
export async function startTogether<Started extends AsyncDisposable>(
  stack: AsyncDisposableStack,
  count: number,
  start: () => Promise<Started>,
): Promise<readonly Started[]> {
  const outcomes = await Promise.allSettled(Array.from({ length: count }, async () => stack.use(await start())));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
