/** A place where nodes can bootstrap: ours or the peer's. */
import type { TempFolder } from "../support/temp.ts";
import { readUsage, type Usage } from "./processes.ts";
import type { Reading } from "./scenario.ts";

/** A running instance. Disposing it ends its processes and removes its folder. */
export interface BenchInstance extends AsyncDisposable {
  readonly folder: TempFolder;
  /** One bootstrap kubeconfig for each of its servers, over which clients are spread. */
  readonly bootstrapKubeconfigs: readonly string[];
  /** One administrator's kubeconfig for each of its servers. */
  readonly adminKubeconfigs: readonly string[];
  /** Its servers, with the etcd below them. */
  readonly pids: readonly number[];
  /** The processes among them that are etcd. */
  readonly etcdPids: readonly number[];
}

/** The usage of an instance: all of it, and etcd's part where it has one. */
export type Used = Required<Pick<Reading, "usage">> & Pick<Reading, "etcd">;

/** Acts on an instance, and returns the result with the CPU seconds that the servers used and their memory at the end. */
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

/** Usage from one look to a later one. */
export function since(before: Usage, after: Usage): Usage {
  return { ...after, cpuSeconds: after.cpuSeconds - before.cpuSeconds };
}

/** Resident memory of an instance in MB (10^6 bytes), once it is idle. */
export async function restingMegabytes(instance: BenchInstance): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  return readUsage(instance.pids).residentBytes / 1e6;
}

/** Long enough for what a server does after it has answered. */
const REST_MS = 15_000;

/**
 * Starts several servers at once. The owner of the stack ends them, including those that did start when another one
 * failed.
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
