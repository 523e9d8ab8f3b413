/** The names and addresses of a remote API server, which no node may have. */
import { withoutBrackets } from "../../core/lib/ip_address.ts";
import { AppError } from "../../core/errors.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/context.ts";
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import { splitHosts } from "../../core/approval/evidence/ownership.ts";
import type { Clock } from "../../core/ports.ts";
import { chooseProxy, type ConnectOptions } from "./connect.ts";
import { findServingCertificate } from "./tls_transport.ts";

const TIMEOUT_MS = 10_000;
/** How long the names are kept: a server's certificate rarely changes. */
const KEEP_MS = 600_000;
/** The names by which pods reach the server, whether its certificate has them or not. */
const SERVICE_NAMES: readonly string[] = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
];

/**
 * Creates a lookup of the names in the server's certificate and of the host in the kubeconfig. The result is cached for
 * ten minutes. The lookup rejects with AppError `unreachable` (retryable) when the certificate cannot be read.
 */
export function createServerNames(
  cluster: Pick<ResolvedCluster, "server" | "tlsServerName" | "proxy">,
  { clock, env = {} }: { readonly clock: Clock; readonly env?: ConnectOptions["env"] },
): () => Promise<NodeNames> {
  const url = new URL(cluster.server);
  const proxy = chooseProxy(cluster, env);
  const hosts = [...SERVICE_NAMES, withoutBrackets(url.hostname), cluster.tlsServerName ?? ""];
  let known: { readonly names: NodeNames; readonly until: number } | undefined;
  return async () => {
    const now = clock.elapsedMs();
    if (known !== undefined && now < known.until) return known.names;
    const certificate = await findServingCertificate(url, { ...cluster, proxy, timeoutMs: TIMEOUT_MS });
    if (certificate === undefined) {
      throw new AppError("unreachable", `cannot see the serving certificate of "${cluster.server}"`, {
        retryable: true,
      });
    }
    const names = splitHosts([...hosts, ...certificate.dnsNames, ...certificate.ipAddresses]);
    known = { names, until: now + KEEP_MS };
    return names;
  };
}
