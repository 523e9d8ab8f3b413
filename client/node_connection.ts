/** Connections to the API as the node: the cluster of its kubeconfig, the newest pair of its store. */
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { type Connect, readClientPair, readCluster } from "./transport/connect.ts";
import type { CredentialStore } from "./certificate/credential_store.ts";
import type { FilePort } from "./files.ts";
import type { TlsTransport } from "./transport/tls_transport.ts";

/** The kubeconfig, the store and the adapters for a connection as the node. */
export interface NodeConnectionOptions {
  readonly kubeconfigPath: string;
  /** The store of the client certificate. */
  readonly store: CredentialStore;
  readonly files: FilePort;
  readonly connect: Connect;
}

/**
 * Connects as the node. The pair of the store takes precedence, because a kubeconfig may hold a copy of an older pair,
 * as the first one of kubeadm does. kubelet does the same (client-go `util/certificate/certificate_manager.go`,
 * getCurrentCertificateOrBootstrap).
 */
export async function connectAsNode(
  options: Omit<NodeConnectionOptions, "store"> & { readonly store: Pick<CredentialStore, "currentPath"> },
): Promise<TlsTransport> {
  const { kubeconfigPath, store, files, connect } = options;
  const cluster = await readCluster(kubeconfigPath, files);
  if (await files.stat(store.currentPath) === undefined) return await connect(cluster);
  const { token: _token, tokenFile: _tokenFile, ...rest } = cluster;
  const pair = { kind: "file", path: store.currentPath } as const;
  return await connect({ ...rest, clientCertificate: pair, clientKey: pair } satisfies ResolvedCluster);
}

/** Copies the pair of a kubeconfig into an empty store, so that it can be renewed there. */
export async function adoptKubeconfigPair(options: NodeConnectionOptions): Promise<void> {
  const { kubeconfigPath, store, files } = options;
  if (await store.current() !== undefined) return;
  const pair = await readClientPair(await readCluster(kubeconfigPath, files), files);
  await store.update(pair.certificatePem, pair.keyPem);
}
