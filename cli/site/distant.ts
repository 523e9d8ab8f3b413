/** Controllers beside a distant API: the connection, and leader election around the work. */
import { Buffer } from "node:buffer";
import { hostname } from "node:os";
import { resolve } from "node:path";
import type { Lease } from "../../core/kube/coordination_v1.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig_context.ts";
import { leaseKind } from "../../core/kube/kinds/mod.ts";
import type { Clock, Logger, Random, Transport } from "../../core/ports.ts";
import { createConnector, readCluster } from "../../client/connect.ts";
import { createFilePort } from "../../client/files.ts";
import { createObjectStore } from "../../client/object_store.ts";
import { parseListenAddress } from "../framework/flags.ts";
import { type ControllerMetrics, createControllerMetrics } from "../../server/metrics/controllers.ts";
import { listenForMetrics } from "../../server/metrics/listener.ts";
import { createMetricsRegistry } from "../../server/metrics/registry.ts";
import { observeTransport } from "../../server/metrics/rest_client.ts";
import { runWhileLeading } from "../../server/controllers/leader_election.ts";
import type { Io } from "../io.ts";
import { USER_AGENT } from "../user_agent.ts";

/** Settings that every distant controller has. */
export interface DistantSettings {
  readonly kubeconfig: string | undefined;
  readonly leaderElect: boolean;
  readonly leaderElectResourceNamespace: string;
  readonly metricsBindAddress: string;
}

/** What the work gets. */
export interface DistantDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ControllerMetrics;
}

/** Connects, and runs the work until the signal aborts: at once, or while leading. */
export async function runDistant(
  name: string,
  settings: DistantSettings,
  io: Io,
  logger: Logger,
  work: (transport: Transport, deps: DistantDeps, signal: AbortSignal, cluster: ResolvedCluster) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const files = createFilePort();
  const registry = createMetricsRegistry();
  const metrics = createControllerMetrics(registry, io.clock);
  const deps: DistantDeps = { clock: io.clock, random: io.random, logger, metrics };
  const cluster = await readCluster(resolve(io.cwd, settings.kubeconfig ?? ""), files);
  await using connection = await createConnector({ files, clock: io.clock, userAgent: USER_AGENT })(cluster);
  const transport = observeTransport(connection, new URL(cluster.server).host, registry, io.clock);
  const address = parseListenAddress(settings.metricsBindAddress);
  await using listener = address === undefined ? undefined : await listenForMetrics(registry, address);
  if (listener !== undefined) logger.info("metrics", { address: settings.metricsBindAddress, port: listener.port });
  logger.info("working for an API server", { server: cluster.server });
  if (!settings.leaderElect) {
    await work(transport, deps, signal, cluster);
    return;
  }
  const namespace = settings.leaderElectResourceNamespace;
  await runWhileLeading(
    {
      ...deps,
      store: createObjectStore<Lease>(transport, leaseKind, { ...deps, namespace }),
      namespace,
      leaseName: `tlsboot-${name}`,
      identity: `${hostname()}_${Buffer.from(io.random.bytes(8)).toString("hex")}`,
    },
    (leading) => work(transport, deps, leading, cluster),
    signal,
  );
}
