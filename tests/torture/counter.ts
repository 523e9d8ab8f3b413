/** A ConfigMap that one client alone counts up: each acknowledged number must be there, and seen by every watcher. */
import type { Connect } from "../../client/transport/connect.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/core_v1.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig_context.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { isTransient } from "./watcher.ts";

export const COUNTERS_PATH = "/api/v1/namespaces/default/configmaps";

export interface CounterOptions {
  readonly name: string;
  readonly cluster: ResolvedCluster;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onFault: (fault: string) => void;
}

/** Between two numbers, at most. */
const PAUSE_MS = 60;

/** Counts until the signal fires. */
export async function runCounter(options: CounterOptions, signal: AbortSignal): Promise<void> {
  const { name, clock, random, onFault } = options;
  await using transport = await options.connect(options.cluster);
  const store = createObjectStore<ConfigMap>(transport, configMapKind, { ...options, namespace: "default" });
  /** The last number that was acknowledged, and one that may have been written too. */
  let [acknowledged, tried] = [0, 0];
  while (!signal.aborted) {
    try {
      const current = await store.get(name, signal);
      const count = Number(current?.data?.["count"] ?? 0);
      if (count !== acknowledged && count !== tried) {
        onFault(`counter ${name}: shows ${count}, but ${acknowledged} was acknowledged and ${tried} was tried`);
      }
      acknowledged = count;
      tried = count + 1;
      const data = { count: `${tried}`, filler: "x".repeat(Math.floor(random.float() * 2_000)) };
      if (current === undefined) await store.create({ metadata: { name }, data }, signal);
      else await store.update({ ...current, data }, signal);
      acknowledged = tried;
    } catch (error) {
      if (signal.aborted) return;
      // A request that was cut off is not sent again, so a conflict can only come from this counter's own writes.
      if (!isTransient(error) && !isAppError(error, "conflict", "already_exists")) {
        onFault(`counter ${name}: ${getErrorMessage(error)}`);
      }
    }
    await clock.sleep(random.float() * PAUSE_MS, signal).catch(() => {});
  }
}
