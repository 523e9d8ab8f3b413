/**
 * Publishes what machines need to join an instance: `cluster-info`, as kubeadm does, and `bootstrap.kubeconfig` with a
 * bootstrap token that is replaced when it has expired or was deleted.
 */
import { basename } from "node:path";
import {
  CLUSTER_INFO_NAME,
  CLUSTER_INFO_NAMESPACE,
  planClusterInfo,
  type PublishedCluster,
} from "../core/token/cluster_info.ts";
import { encodeBootstrapKubeconfig } from "../core/token/join_material.ts";
import {
  type BootstrapToken,
  createTokenSecret,
  decideTokenSecret,
  generateBootstrapToken,
  listTokenFacts,
  parseBootstrapToken,
  toTokenSecretName,
} from "../core/token/token_secret.ts";
import { BOOTSTRAP_TOKEN_USAGES, UP_TOKEN_GROUP } from "../core/token/token_options.ts";
import { AppError, isAppError } from "../core/errors.ts";
import type { ConfigMap, SecretObject as KubeSecret } from "../core/kube/kinds/core_v1.ts";
import { configMapKind } from "../core/kube/kinds/mod.ts";
import { type KubeconfigCluster, parseKubeconfig } from "../core/kube/kubeconfig/kubeconfig.ts";
import { getName } from "../core/kube/meta.ts";
import type { Clock, ObjectStore, Random } from "../core/ports.ts";
import { createObjectStore } from "../client/objects/object_store.ts";
import { ROOT_USER } from "./instance_rbac.ts";
import { SECRET_MODE } from "../client/files.ts";
import type { ControllerDeps } from "./deps.ts";
import type { CertificateDeps } from "./parts/serving.ts";
import { USER_AGENT } from "../core/version.ts";
import type { Server } from "../server/mod.ts";

/** The properties of a new bootstrap token. */
export interface TokenOptions {
  /** The lifetime of the token, in milliseconds; 24 hours by default. */
  readonly lifetimeMs?: number;
  /** The groups of the token in addition to `system:bootstrappers`. Default: `system:bootstrappers:tlsboot`. */
  readonly groups?: readonly string[] | undefined;
  readonly description?: string;
}

const TOKEN_LIFETIME_MS = 24 * 3_600_000;

/**
 * Publishes the address and the CA of a running instance; the bootstrap signer signs it. AppError `ca_invalid` when
 * other servers of the same store have another CA.
 */
export async function ensureClusterInfo(
  { server, isShared }: { readonly server: Pick<Server, "transportFor">; readonly isShared: boolean },
  cluster: PublishedCluster,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const transport = server.transportFor(ROOT_USER, USER_AGENT);
  const configMaps = createObjectStore<ConfigMap>(transport, configMapKind, {
    ...deps,
    namespace: CLUSTER_INFO_NAMESPACE,
  });
  const plan = planClusterInfo(await configMaps.get(CLUSTER_INFO_NAME, signal), cluster, { isShared });
  switch (plan.kind) {
    case "none":
      return;
    case "foreign":
      if (!isShared) {
        deps.logger.warn("cluster-info names another server and is not changed", {
          server: plan.server,
          own: cluster.server,
          hint:
            "join commands name that server; to publish this one: kubectl delete configmap cluster-info -n kube-public, " +
            "and start again",
        });
      }
      return;
    case "otherCa":
      throw new AppError("ca_invalid", "cannot share this etcd: its instance has another CA", {
        hint:
          "copy pki/ca.crt and pki/ca.key from the data directory of the instance's first server, or choose another " +
          "prefix with the setting etcdPrefix for a separate instance",
      });
    case "create":
    case "update":
      try {
        await configMaps[plan.kind](plan.configMap, signal);
      } catch (error) {
        if (!isAppError(error, "already_exists", "conflict")) throw error;
        // Another server published it, or a bootstrap signer signed it, in the meantime.
        return await ensureClusterInfo({ server, isShared }, cluster, deps, signal);
      }
  }
  deps.logger.info("cluster-info published", { server: cluster.server });
}

/**
 * Ensures that a bootstrap kubeconfig has a valid token, by default for the machines of `up`, and the current CAs.
 * Returns the expiration of the token; undefined if it never expires.
 */
export async function ensureBootstrapKubeconfig(
  { path, groups }: { readonly path: string; readonly groups?: readonly string[] },
  secrets: ObjectStore<KubeSecret>,
  cluster: PublishedCluster,
  deps: CertificateDeps,
  signal: AbortSignal,
): Promise<Date | undefined> {
  const { token: kept, isCurrent } = await readBootstrapKubeconfig(path, cluster, deps);
  if (kept !== undefined) {
    const secret = await secrets.get(toTokenSecretName(kept.id), signal);
    if (secret !== undefined && decideTokenSecret(secret, kept, deps.clock.now()).ok) {
      if (!isCurrent) await writeBootstrapKubeconfig(path, cluster, kept, deps);
      const expiration = listTokenFacts(secret)?.expiration;
      return expiration?.kind === "at" ? expiration.at : undefined;
    }
  }
  const created = { description: describeFileToken(path), groups };
  const { token, expiration } = await createBootstrapToken(secrets, created, deps, signal);
  await writeBootstrapKubeconfig(path, cluster, token, deps);
  return expiration;
}

/**
 * Removes `bootstrap.kubeconfig` and the tokens that `up` created for it. If servers share the storage, only the token
 * in the file belongs to this server. A file with a token that someone else created is kept.
 */
export async function removeSharedToken(
  { dir: { bootstrapKubeconfig: path }, isShared }: {
    readonly dir: { readonly bootstrapKubeconfig: string };
    readonly isShared: boolean;
  },
  secrets: Pick<ObjectStore<KubeSecret>, "list" | "delete">,
  { files, logger }: CertificateDeps,
  signal: AbortSignal,
): Promise<void> {
  const { token: own } = await readCredentials(path, files);
  const ownName = own === undefined ? undefined : toTokenSecretName(own.id);
  const stored = await secrets.list(signal);
  const isMade = (secret: KubeSecret): boolean => listTokenFacts(secret)?.description === describeFileToken(path);
  const kept = stored.find((secret) => getName(secret) === ownName && !isMade(secret));
  for (const secret of stored.filter((other) => isMade(other) && (!isShared || getName(other) === ownName))) {
    await secrets.delete(getName(secret), signal).catch(ignoreMissing);
    logger.info("shared token deleted", { tokenId: listTokenFacts(secret)?.id });
  }
  if (kept !== undefined) {
    logger.warn("bootstrap kubeconfig kept: tlsboot up did not make its token", { path, tokenId: own?.id });
  } else if (await files.readText(path) !== undefined) {
    await files.unlink(path);
    logger.info("bootstrap kubeconfig removed", { path });
  }
}

function ignoreMissing(error: unknown): void {
  if (!isAppError(error, "not_found")) throw error;
}

/** Describes the token of a kubeconfig that `up` writes. */
function describeFileToken(path: string): string {
  return `made by tlsboot up for ${basename(path)}`;
}

async function writeBootstrapKubeconfig(
  path: string,
  cluster: PublishedCluster,
  token: BootstrapToken,
  { files, logger }: CertificateDeps,
): Promise<void> {
  await files.writeAtomic(path, encodeBootstrapKubeconfig(cluster, token), SECRET_MODE);
  logger.info("bootstrap kubeconfig written", { path, tokenId: token.id });
}

/** Creates a bootstrap token at the API. */
export async function createBootstrapToken(
  secrets: Pick<ObjectStore<KubeSecret>, "create">,
  { lifetimeMs = TOKEN_LIFETIME_MS, groups = [UP_TOKEN_GROUP], description = "" }: TokenOptions,
  { clock, random }: { readonly clock: Pick<Clock, "now">; readonly random: Random },
  signal: AbortSignal,
): Promise<{ readonly token: BootstrapToken; readonly expiration: Date }> {
  const token = generateBootstrapToken(random);
  const expiration = new Date(clock.now().getTime() + lifetimeMs);
  const secret = createTokenSecret({ token, expiration, usages: BOOTSTRAP_TOKEN_USAGES, groups, description });
  await secrets.create(secret, signal);
  return { token, expiration };
}

/** Reads the token if it is for this server, and checks whether the file has the current CAs. */
async function readBootstrapKubeconfig(
  path: string,
  cluster: PublishedCluster,
  { files }: CertificateDeps,
): Promise<{ readonly token?: BootstrapToken; readonly isCurrent: boolean }> {
  const { entry, token } = await readCredentials(path, files);
  if (entry?.server !== cluster.server || token === undefined) return { isCurrent: false };
  return { token, isCurrent: entry.certificateAuthorityData === cluster.caPem };
}

/** Reads the cluster and the token of a bootstrap kubeconfig, if it has them. */
async function readCredentials(
  path: string,
  files: CertificateDeps["files"],
): Promise<{ readonly entry?: KubeconfigCluster | undefined; readonly token?: BootstrapToken | undefined }> {
  const text = await files.readText(path);
  const config = text === undefined ? undefined : parseKubeconfig(text, path);
  if (config?.ok !== true) return {};
  const entry = config.value.clusters[0]?.cluster;
  const token = parseBootstrapToken(config.value.users[0]?.user.token?.reveal() ?? "");
  return { entry, token: token.ok ? token.value : undefined };
}
