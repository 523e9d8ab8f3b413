/**
 * Finds a cluster with nothing but an address, a bootstrap token and the hash of the CA's key (`kubeadm join`;
 * `real-clients.md`): `cluster-info` is read from whoever answers, its signature checked with the token and its CA
 * with the hash, then read again from the server that this CA vouches for. The token is never sent.
 */
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE } from "../core/bootstrap/cluster_info.ts";
import { checkPins, checkSignature, type PinnedCluster } from "../core/bootstrap/discovery.ts";
import { type BootstrapToken, formatBootstrapToken } from "../core/bootstrap/token.ts";
import { Secret } from "../core/lib/brand.ts";
import { AppError } from "../core/errors.ts";
import type { ConfigMap } from "../core/kube/core_v1.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import type { PublicKeyPin } from "../core/pki/public_key_pin.ts";
import type { Clock } from "../core/ports.ts";
import { createApiClient } from "./api.ts";
import type { Connect } from "./connect.ts";
import { limitTime } from "./time_limit.ts";

/** Whom to ask, and what is known of the cluster. */
export interface DiscoveryOptions {
  /** `https://host:port`. */
  readonly server: string;
  readonly token: BootstrapToken;
  /** At least one; the CA must have one of them. */
  readonly pins: readonly PublicKeyPin[];
  readonly connect: Connect;
  readonly clock: Clock;
  /** How long to wait for the server and the signature. Default 300, kubeadm's. */
  readonly waitSeconds?: number;
  readonly onProgress?: (event: DiscoveryProgress) => void;
}

/** What happens on the way, for a person who watches. */
export type DiscoveryProgress =
  | { readonly kind: "discovering"; readonly server: string }
  /** Tried again after a pause; told once for each reason. */
  | { readonly kind: "discoveryDelayed"; readonly reason: string }
  | { readonly kind: "discovered"; readonly server: string };

const WAIT_SECONDS = 300;
/** kubeadm `DiscoveryRetryInterval`. */
const PAUSE_MS = 5_000;
const PATH = `/api/v1/namespaces/${CLUSTER_INFO_NAMESPACE}/configmaps/${CLUSTER_INFO_NAME}`;

/**
 * The cluster that `cluster-info` names, with the token as credentials. AppError `token_invalid` when the token is
 * unknown there, over or wrong; `tls_untrusted` when the CA is another one, or not the server's; `unreachable` and the
 * API's own when the server does not answer in time.
 */
export async function discoverCluster(options: DiscoveryOptions, signal: AbortSignal): Promise<ResolvedCluster> {
  const { server, token, clock, onProgress } = options;
  let delay: AppError | undefined;
  const tooLate = (): Error =>
    delay ?? new AppError("unreachable", `cannot read cluster-info of "${server}": no answer in time`, {
      hint: "check the server address, and that the server runs",
      retryable: true,
    });
  const onDelay = (error: AppError): void => {
    if (error.message !== delay?.message) onProgress?.({ kind: "discoveryDelayed", reason: error.message });
    delay = error;
  };
  await using limit = limitTime(clock, (options.waitSeconds ?? WAIT_SECONDS) * 1000, tooLate, signal);
  onProgress?.({ kind: "discovering", server });
  const first = await readSigned(options, { server, insecureSkipTlsVerify: true }, onDelay, limit.signal);
  const cluster = pinnedCluster(options, first);
  const pinned = { server, insecureSkipTlsVerify: false, ca: { kind: "pem", pem: cluster.pinnedPem } } as const;
  const second = await readSigned(options, pinned, onDelay, limit.signal);
  if (second !== first) {
    throw new AppError("tls_untrusted", `cannot trust "${server}": cluster-info was another one over verified TLS`, {
      hint: "something between this machine and the server changes what is read, or it was changed just now; try again",
    });
  }
  onProgress?.({ kind: "discovered", server: cluster.server });
  return {
    server: cluster.server,
    insecureSkipTlsVerify: false,
    ca: { kind: "pem", pem: cluster.caPem },
    token: new Secret(formatBootstrapToken(token)),
  };
}

/** The kubeconfig in `cluster-info` once it is signed for the token; asked for again until then. */
async function readSigned(
  options: DiscoveryOptions,
  cluster: ResolvedCluster,
  onDelay: (error: AppError) => void,
  signal: AbortSignal,
): Promise<string> {
  const { server, token, clock, connect } = options;
  await using transport = await connect(cluster);
  const api = createApiClient(transport, { clock });
  while (true) {
    try {
      const verdict = checkSignature(await api.requestObject<ConfigMap>({ method: "GET", path: PATH }, signal), token);
      if (verdict.kind === "signed") return verdict.kubeconfig;
      if (verdict.kind === "refused") throw refusal("token_invalid", server, verdict.why);
      onDelay(unsigned(server, token));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError) || ["tls_untrusted", "token_invalid"].includes(error.code)) throw error;
      onDelay(unreadable(server, error));
    }
    await clock.sleep(PAUSE_MS, signal);
  }
}

function pinnedCluster({ server, pins }: DiscoveryOptions, kubeconfig: string): PinnedCluster {
  const cluster = checkPins(kubeconfig, pins);
  if (cluster.ok) return cluster.value;
  throw refusal("tls_untrusted", server, cluster.error);
}

const REFUSAL_HINTS = {
  token_invalid:
    "the token is wrong, or this is not the cluster it was made in; make another with: tlsboot token create",
  tls_untrusted: "compare the hash with the one that tlsboot ca show prints beside the CA",
} as const;

function refusal(code: keyof typeof REFUSAL_HINTS, server: string, why: string): AppError {
  return new AppError(code, `cannot trust cluster-info of "${server}": ${why}`, { hint: REFUSAL_HINTS[code] });
}

function unsigned(server: string, token: BootstrapToken): AppError {
  const what = `cannot trust cluster-info of "${server}": it has no signature for token "${token.id}"`;
  return new AppError("token_invalid", what, {
    hint: "the token is unknown there, has expired or is not for signing; make another with: tlsboot token create",
  });
}

function unreadable(server: string, error: AppError): AppError {
  return new AppError(error.code, `cannot read cluster-info of "${server}": ${error.message}`, {
    cause: error,
    retryable: error.retryable,
    hint: READ_HINTS[error.code] ?? error.hint ?? "check the server address, and that the server runs",
  });
}

const READ_HINTS: Readonly<Partial<Record<AppError["code"], string>>> = {
  unauthorized: "the server lets nobody read it without credentials; use --bootstrap-kubeconfig instead",
  access_denied: "the server lets nobody read it without credentials; use --bootstrap-kubeconfig instead",
  not_found: "the cluster publishes none; use --bootstrap-kubeconfig instead",
};
