/**
 * Discovers a cluster from an address, a bootstrap token and the hash of the CA's public key, as `kubeadm join` does
 * (`cmd/kubeadm/app/discovery/token/token.go`). `cluster-info` is read without verifying the server, its signature is
 * checked with the token and its CA with the hash, and it is read again over TLS verified with that CA. The token is
 * never sent.
 */
import {
  checkClusterInfoSignature,
  checkPins,
  CLUSTER_INFO_PATH,
  type PinnedCluster,
  type PublishedCluster,
} from "../core/token/cluster_info.ts";
import { Secret } from "../core/lib/brand.ts";
import { AppError } from "../core/errors.ts";
import type { ConfigMap } from "../core/kube/kinds/core_v1.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import type { PublicKeyPin } from "../core/pki/keys/key_names.ts";
import type { Clock } from "../core/ports.ts";
import { createApiClient } from "./objects/api.ts";
import type { Connect } from "./transport/connect.ts";
import { limitTime } from "./transport/time_limit.ts";
import { type BootstrapToken, formatBootstrapToken } from "../core/token/token_secret.ts";

/** The server, and what is known about the cluster. */
export interface DiscoveryOptions {
  /** The URL of the server, `https://host:port`. */
  readonly server: string;
  readonly token: BootstrapToken;
  /** The accepted hashes of the CA's public key, at least one. */
  readonly pins: readonly PublicKeyPin[];
  readonly connect: Connect;
  readonly clock: Clock;
  /** How long to wait for the server and the signature. Default: 300, as in kubeadm. */
  readonly waitSeconds?: number;
  readonly onProgress?: (event: DiscoveryProgress) => void;
}

/** A step of the discovery, for progress output. */
export type DiscoveryProgress =
  | { readonly kind: "discovering"; readonly server: string }
  /** An attempt failed and is repeated after a pause; reported once for each reason. */
  | { readonly kind: "discoveryDelayed"; readonly reason: string }
  | { readonly kind: "discovered"; readonly server: string };

const WAIT_SECONDS = 300;
/** The first pause, which then doubles: a server signs with a new token shortly after the token was created. */
const FIRST_PAUSE_MS = 250;
/** The longest pause, as kubeadm's `DiscoveryRetryInterval`. */
const MAX_PAUSE_MS = 5_000;

/**
 * Returns the cluster of `cluster-info`, with the token as credentials. AppError `token_invalid` when the token is
 * unknown, expired or wrong; `tls_untrusted` when the CA does not have the hash or did not issue the server's
 * certificate; `unreachable` and the errors of the API when the server does not answer in time.
 */
export async function discoverCluster(options: DiscoveryOptions, signal: AbortSignal): Promise<ResolvedCluster> {
  const { server, token, clock, onProgress } = options;
  let delay: AppError | undefined;
  const tooLate = (): Error => delay ?? createNoAnswerError(server);
  const onDelay = (error: AppError): void => {
    if (error.message !== delay?.message) onProgress?.({ kind: "discoveryDelayed", reason: error.message });
    delay = error;
  };
  await using limit = limitTime(clock, (options.waitSeconds ?? WAIT_SECONDS) * 1000, tooLate, signal);
  onProgress?.({ kind: "discovering", server });
  const first = await readSigned(options, { server, insecureSkipTlsVerify: true }, onDelay, limit.signal);
  const cluster = getPinnedCluster(options, first);
  const pinned = { server, insecureSkipTlsVerify: false, ca: { kind: "pem", pem: cluster.pinnedPem } } as const;
  const second = await readSigned(options, pinned, onDelay, limit.signal);
  if (second !== first) {
    throw new AppError("tls_untrusted", `cannot trust "${server}": cluster-info was different over verified TLS`, {
      hint: "something between this machine and the server changes it, or it has just changed; try again",
    });
  }
  onProgress?.({ kind: "discovered", server: cluster.server });
  return toTokenCluster(cluster, token);
}

/** Returns a cluster with a bootstrap token as the credentials. */
export function toTokenCluster({ server, caPem }: PublishedCluster, token: BootstrapToken): ResolvedCluster {
  return {
    server,
    insecureSkipTlsVerify: false,
    ca: { kind: "pem", pem: caPem },
    token: new Secret(formatBootstrapToken(token)),
  };
}

/**
 * Returns the cluster that a server publishes, without a token: `cluster-info` is read without verifying the server,
 * its CA is checked with the hash, and it is read again over TLS verified with that CA. Throws as `discoverCluster`.
 */
export async function discoverPublishedCluster(
  { server, pins, connect, clock, waitSeconds = WAIT_SECONDS }: Omit<DiscoveryOptions, "token" | "onProgress">,
  signal: AbortSignal,
): Promise<PublishedCluster> {
  await using limit = limitTime(clock, waitSeconds * 1000, () => createNoAnswerError(server), signal);
  const read = async (cluster: ResolvedCluster): Promise<PinnedCluster> => {
    await using transport = await connect(cluster);
    const api = createApiClient(transport, { clock });
    const request = { method: "GET", path: CLUSTER_INFO_PATH } as const;
    const { data } = await api.requestObject<ConfigMap>(request, limit.signal).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.code === "tls_untrusted") throw error;
      throw createReadError(server, error);
    });
    return getPinnedCluster({ server, pins }, data?.["kubeconfig"] ?? "");
  };
  const first = await read({ server, insecureSkipTlsVerify: true });
  const pinned = { kind: "pem", pem: first.pinnedPem } as const;
  return await read({ server, insecureSkipTlsVerify: false, ca: pinned });
}

function createNoAnswerError(server: string): AppError {
  return new AppError("unreachable", `cannot read cluster-info of "${server}": no answer in time`, {
    hint: CHECK_SERVER,
    retryable: true,
  });
}

const CHECK_SERVER = "check the server address, and that the server runs";

/** Reads `cluster-info` until it is signed for the token, and returns its kubeconfig. */
async function readSigned(
  options: DiscoveryOptions,
  cluster: ResolvedCluster,
  onDelay: (error: AppError) => void,
  signal: AbortSignal,
): Promise<string> {
  const { server, token, clock, connect } = options;
  await using transport = await connect(cluster);
  const api = createApiClient(transport, { clock });
  return await tryUntilDone(
    async () => {
      try {
        const verdict = checkClusterInfoSignature(
          await api.requestObject<ConfigMap>({ method: "GET", path: CLUSTER_INFO_PATH }, signal),
          token,
        );
        if (verdict.kind === "signed") return verdict.kubeconfig;
        if (verdict.kind === "refused") throw createRefusal("token_invalid", server, verdict.why);
        onDelay(createUnsignedError(server, token));
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AppError) || ["tls_untrusted", "token_invalid"].includes(error.code)) throw error;
        onDelay(createReadError(server, error));
      }
      return undefined;
    },
    clock,
    signal,
  );
}

/** Repeats an attempt until it has a result, with doubling pauses. */
export async function tryUntilDone<T>(
  attempt: () => Promise<T | undefined>,
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    const result = await attempt();
    if (result !== undefined) return result;
    await clock.sleep(pauseMs, signal);
  }
}

function getPinnedCluster(
  { server, pins }: Pick<DiscoveryOptions, "server" | "pins">,
  kubeconfig: string,
): PinnedCluster {
  const cluster = checkPins(kubeconfig, pins);
  if (cluster.ok) return cluster.value;
  throw createRefusal("tls_untrusted", server, cluster.error);
}

const REFUSAL_HINTS = {
  token_invalid:
    "the token is wrong, or this is not the cluster it was made in; make another with: tlsboot token create",
  tls_untrusted: "compare the hash with the one that tlsboot ca show prints on the machine of the CA",
} as const;

function createRefusal(code: keyof typeof REFUSAL_HINTS, server: string, why: string): AppError {
  return new AppError(code, `cannot trust cluster-info of "${server}": ${why}`, { hint: REFUSAL_HINTS[code] });
}

function createUnsignedError(server: string, token: BootstrapToken): AppError {
  const what = `cannot trust cluster-info of "${server}": it has no signature for token "${token.id}", ` +
    "so the token is wrong, has expired or is used up, or was made a moment ago";
  return new AppError("token_invalid", what, {
    hint: "make another token, with the usage signing: tlsboot token create -o command",
  });
}

function createReadError(server: string, error: AppError): AppError {
  return new AppError(error.code, `cannot read cluster-info of "${server}": ${error.message}`, {
    cause: error,
    retryable: error.retryable,
    hint: READ_HINTS[error.code] ?? error.hint ?? CHECK_SERVER,
  });
}

const READ_HINTS: Readonly<Partial<Record<AppError["code"], string>>> = {
  unauthorized: "the server requires credentials to read it; use the setting bootstrapKubeconfig instead",
  access_denied: "the server requires credentials to read it; use the setting bootstrapKubeconfig instead",
  not_found: "the cluster does not publish it; use the setting bootstrapKubeconfig instead",
};
