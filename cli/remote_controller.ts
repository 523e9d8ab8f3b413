/** Roles that work for a remote API: the connection, the check of rights, and leader election. */
import { resolve } from "node:path";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import type { Logger, Transport } from "../core/ports.ts";
import { type ApiClient, createApiClient } from "../client/objects/api.ts";
import { readCluster } from "../client/transport/connect.ts";
import { findMissingRights, findOwnUsername } from "../client/objects/access_reviews.ts";
import { AppError } from "../core/errors.ts";
import {
  describeMissingRights,
  listNeededRights,
  type ManifestPart,
  type MissingRights,
  type NeededRight,
} from "../core/rbac/manifest.ts";
import { createControllerMetrics, listenForMetrics, observeTransport } from "../server/metrics/controllers.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../server/metrics/registry.ts";
import { describeIgnoredKubeconfig } from "./connection.ts";
import { parseListenAddress } from "./framework/flags.ts";
import type { Tools } from "./io.ts";
import { escapeValue } from "../core/lib/printable.ts";
import { connectService, type SystemdService } from "./systemd/service.ts";
import type { ControllerDeps } from "../instance/deps.ts";
import { runElected } from "../instance/controllers/controllers.ts";
import { UsageError } from "./exit_code.ts";

/** A role: its command, and the manifest of the rights that it needs. */
interface RemoteRole {
  readonly command: "signer" | "approver" | "attestor";
  readonly manifest: readonly ManifestPart[];
}

/** A controller, and its Lease. */
interface RemoteControllerRole extends RemoteRole {
  readonly lease: string;
}

interface RemoteSettings {
  readonly kubeconfig: string;
  readonly metricsBindAddress: string;
}

interface RemoteControllerSettings extends RemoteSettings {
  readonly leaderElect: boolean;
  readonly leaderElectResourceNamespace: string;
}

/** The connection of a role, its metrics, and the service that it reports to. */
interface RemoteConnection extends AsyncDisposable {
  readonly transport: Transport;
  readonly cluster: ResolvedCluster;
  readonly registry: MetricsRegistry;
  readonly deps: ControllerDeps;
  readonly service: SystemdService;
}

/** Returns the kubeconfig. Throws UsageError without one. */
export function requireKubeconfig(
  command: RemoteRole["command"],
  kubeconfig: string | undefined,
  { env }: Pick<Tools, "env">,
): string {
  if (kubeconfig !== undefined) return kubeconfig;
  throw new UsageError("--kubeconfig is required", `see: tlsboot ${command} --help${describeIgnoredKubeconfig(env)}`);
}

/** The number of attempts until missing rights are an error: a server that has just started may not have the roles yet. */
const RIGHTS_ATTEMPTS = 5;
const RIGHTS_PAUSE_MS = 1_000;

/**
 * Connects, and serves the metrics if there is an address for them. Throws AppError `access_denied` if the user lacks
 * essential rights of the manifest.
 */
export async function connectRemote(
  role: RemoteRole,
  settings: RemoteSettings,
  tools: Tools,
  logger: Logger,
): Promise<RemoteConnection> {
  const { clock, random, signal } = tools;
  await using starting = new AsyncDisposableStack();
  const service = starting.use(connectService(tools, { logger, signal }));
  const registry = createMetricsRegistry();
  const metrics = createControllerMetrics(registry, clock);
  const deps: ControllerDeps = { clock, random, logger, metrics };
  const cluster = await readCluster(resolve(tools.cwd, settings.kubeconfig), tools.files);
  const connection = starting.use(await tools.connect(cluster));
  const transport = observeTransport(connection, new URL(cluster.server).host, registry, clock);
  const address = parseListenAddress(settings.metricsBindAddress);
  const listener = starting.use(address === undefined ? undefined : await listenForMetrics(registry, address));
  if (listener !== undefined) logger.info("metrics", { address: settings.metricsBindAddress, port: listener.port });
  await checkRights(createApiClient(transport, deps), role.command, role.manifest, deps, signal);
  const parts = starting.move();
  return { transport, cluster, registry, deps, service, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** Connects and runs the work until the signal aborts. With leader election, it runs only while leading. */
export async function runRemoteController(
  role: RemoteControllerRole,
  settings: RemoteControllerSettings,
  tools: Tools,
  logger: Logger,
  work: (transport: Transport, deps: ControllerDeps, signal: AbortSignal, cluster: ResolvedCluster) => Promise<void>,
): Promise<void> {
  const { signal } = tools;
  await using remote = await connectRemote(role, settings, tools, logger);
  const { transport, cluster, deps, service } = remote;
  logger.info("working for an API server", { server: cluster.server });
  if (!settings.leaderElect) {
    service.ready(`working for ${cluster.server}`);
    await work(transport, deps, signal, cluster);
    return;
  }
  // A replica that waits for the lease counts as started.
  const waiting = `waiting for the leader lease of ${cluster.server}`;
  service.ready(waiting);
  const election = { namespace: settings.leaderElectResourceNamespace, leaseName: role.lease };
  const lead = async (leading: AbortSignal): Promise<void> => {
    service.describe(`working for ${cluster.server}`);
    try {
      await work(transport, deps, leading, cluster);
    } finally {
      service.describe(waiting);
    }
  };
  await runElected(transport, election, deps, lead, signal);
}

/** Throws if essential rights are missing, and logs other missing rights. */
async function checkRights(
  api: ApiClient,
  command: string,
  manifest: readonly ManifestPart[],
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { texts, isFatal } = await findRights(api, listNeededRights(manifest), deps, signal);
  if (texts.length === 0) return;
  if (!isFatal) return deps.logger.warn("some rights are missing", { rights: texts });
  const username = await findOwnUsername(api, signal);
  const who = username === undefined ? "its user" : `user "${escapeValue(username)}"`;
  throw new AppError("access_denied", `tlsboot ${command} cannot work: ${who} may not ${texts.join("; ")}`, {
    hint: `grant it what tlsboot ${command} --print-rbac prints, with the same flags, or give the kubeconfig of ` +
      "a user who has these rights",
  });
}

/** Finds the missing rights. None are reported if the API does not answer, because the work then waits for it. */
async function findRights(
  api: ApiClient,
  needed: readonly NeededRight[],
  { clock, logger }: ControllerDeps,
  signal: AbortSignal,
): Promise<MissingRights> {
  try {
    for (let attempt = 1;; attempt++) {
      const missing = describeMissingRights(needed, await findMissingRights(api, needed, signal));
      if (attempt === RIGHTS_ATTEMPTS || !missing.isFatal) return missing;
      await clock.sleep(RIGHTS_PAUSE_MS, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    logger.warn("cannot check the rights of this user", { error: error.message });
    return { texts: [], isFatal: false };
  }
}
