/** Checks, reads and writes the kubeconfig of a node, and connects with it. */
import { dirname } from "node:path";
import type { CredentialPair } from "../core/machine/credential_pair.ts";
import { AppError } from "../core/errors.ts";
import { encodeKubeconfig, type ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { Clock } from "../core/ports.ts";
import { err, ok, type Result } from "../core/lib/result.ts";
import { type Connect, readClientPair, readCluster } from "./transport/connect.ts";
import { type FilePort, FOLDER_MODE, SECRET_MODE } from "./files.ts";
import type { CredentialStore } from "./certificate/credential_store.ts";
import type { TlsTransport } from "./transport/tls_transport.ts";

/** Whether a kubeconfig exists, and whether its credentials can be used. */
export type KubeconfigValidity =
  | { readonly kind: "missing" }
  /**
   * `reason` is a sentence that names the file. `isOfPair` is true when the client certificate or its key cannot be
   * read.
   */
  | { readonly kind: "invalid"; readonly reason: string; readonly isOfPair?: boolean }
  | { readonly kind: "valid"; readonly cluster: ResolvedCluster; readonly pair: CredentialPair };

/**
 * Checks a kubeconfig as kubelet's `isClientConfigStillValid` does (`pkg/kubelet/certificate/bootstrap/bootstrap.go`). It
 * is valid when it and its files load, it has a client certificate, and no certificate of the chain has expired.
 * notBefore, issuer, subject and server are not checked. AppError `io` when the path cannot be read.
 */
export async function checkKubeconfig(
  path: string,
  deps: { readonly files: FilePort; readonly clock: Clock; readonly connect: Connect },
): Promise<KubeconfigValidity> {
  const { files, clock } = deps;
  if (await files.stat(path) === undefined) return { kind: "missing" };
  const cluster = await attempt(() => readCluster(path, files));
  if (!cluster.ok) return invalid(cluster.error);
  if (cluster.value.clientCertificate === undefined) {
    return invalid(`kubeconfig "${path}" has no client certificate`);
  }
  const pair = await attempt(() => readClientPair(cluster.value, files));
  const transport = await attempt(async () => await (await deps.connect(cluster.value))[Symbol.asyncDispose]());
  if (!pair.ok) return { ...invalid(pair.error), isOfPair: true };
  if (!transport.ok) return invalid(transport.error);
  const now = clock.now();
  const expired = pair.value.chain.find((certificate) => certificate.notAfter < now);
  if (expired !== undefined) {
    const time = formatTime(expired.notAfter);
    return invalid(`the client certificate of kubeconfig "${path}" expired at ${time}`);
  }
  return { kind: "valid", cluster: cluster.value, pair: pair.value };
}

function invalid(reason: string): KubeconfigValidity & { readonly kind: "invalid" } {
  return { kind: "invalid", reason };
}

async function attempt<T>(operation: () => Promise<T>): Promise<Result<T, string>> {
  try {
    return ok(await operation());
  } catch (error) {
    if (error instanceof AppError) return err(error.message);
    throw error;
  }
}

/** The kubeconfig of a node, and the store of its client certificate. */
export interface NodeClusterOptions {
  readonly kubeconfigPath: string;
  /** Absent when the kubeconfig itself holds the certificate. */
  readonly store?: Pick<CredentialStore, "currentPath">;
  readonly files: FilePort;
}

/**
 * Connects as the node. The pair of the store takes precedence, because a kubeconfig may hold a copy of an older pair,
 * as the first one of kubeadm does. kubelet does the same (client-go `util/certificate/certificate_manager.go`,
 * getCurrentCertificateOrBootstrap).
 */
export async function connectAsNode(
  options: NodeClusterOptions & { readonly connect: Connect },
): Promise<TlsTransport> {
  return await options.connect(await readNodeCluster(options));
}

/** Reads the kubeconfig of a node, with the pair of the store if there is one. AppError `kubeconfig_invalid`. */
export async function readNodeCluster({ kubeconfigPath, store, files }: NodeClusterOptions): Promise<ResolvedCluster> {
  const cluster = await readCluster(kubeconfigPath, files);
  if (store === undefined || await files.stat(store.currentPath) === undefined) return cluster;
  const { token: _token, tokenFile: _tokenFile, ...rest } = cluster;
  const pair = { kind: "file", path: store.currentPath } as const;
  return { ...rest, clientCertificate: pair, clientKey: pair };
}

/** Copies the pair of a kubeconfig into an empty store, so that it can be renewed there. */
export async function adoptKubeconfigPair(
  { kubeconfigPath, store, files }: NodeClusterOptions & { readonly store: CredentialStore },
): Promise<void> {
  if (await store.current() !== undefined) return;
  const pair = await readClientPair(await readCluster(kubeconfigPath, files), files);
  await store.update(pair.certificatePem, pair.keyPem);
}

/** Writes the kubeconfig of a node, and creates its folder when it is missing. */
export async function writeNodeKubeconfig(
  path: string,
  cluster: ResolvedCluster,
  certificatePath: string,
  files: FilePort,
): Promise<void> {
  await files.makeDirectory(dirname(path), FOLDER_MODE);
  await files.writeAtomic(path, encodeNodeKubeconfig(cluster, certificatePath), SECRET_MODE);
}

/**
 * Encodes the kubeconfig of a node with kubelet's names (`writeKubeconfigFromBootstrapping`). It contains no bootstrap
 * credentials; a proxy of the bootstrap kubeconfig is kept, because the machine still needs it.
 */
export function encodeNodeKubeconfig(cluster: ResolvedCluster, certificatePath: string): string {
  const ca = cluster.ca;
  return encodeKubeconfig({
    clusters: [{
      name: "default-cluster",
      cluster: {
        server: cluster.server,
        ...(cluster.insecureSkipTlsVerify ? { insecureSkipTlsVerify: true } : {}),
        ...(ca?.kind === "file" ? { certificateAuthority: ca.path } : {}),
        ...(ca?.kind === "pem" ? { certificateAuthorityData: ca.pem } : {}),
        ...(cluster.proxy === undefined ? {} : { proxyUrl: cluster.proxy.url.reveal() }),
      },
    }],
    contexts: [{
      name: "default-context",
      context: { cluster: "default-cluster", user: "default-auth", namespace: "default" },
    }],
    users: [{ name: "default-auth", user: { clientCertificate: certificatePath, clientKey: certificatePath } }],
    currentContext: "default-context",
  });
}
