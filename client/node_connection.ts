/** Speaks to the API as the node: by its kubeconfig, with the newest pair of its store. */
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { type Connect, readClientPair, readCluster } from "./connect.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { FilePort } from "./files.ts";
import type { TlsTransport } from "./transport.ts";

/** What speaking as the node needs. */
export interface NodeConnectionOptions {
  readonly kubeconfigPath: string;
  /** The client certificate's. */
  readonly store: CredentialStore;
  readonly files: FilePort;
  readonly connect: Connect;
}

/**
 * Connects. A kubeconfig may hold a copy of an older pair, as kubeadm's first ones do; kubelet, too, uses its store then
 * (`kubelet-bootstrap.md` §7.1).
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

/** Puts the pair that a kubeconfig holds into a store that has none, so that it can be renewed there. */
export async function adoptKubeconfigPair(options: NodeConnectionOptions): Promise<void> {
  const { kubeconfigPath, store, files } = options;
  if (await store.current() !== undefined) return;
  const pair = await readClientPair(await readCluster(kubeconfigPath, files), files);
  await store.update(pair.certificatePem, pair.keyPem);
}
