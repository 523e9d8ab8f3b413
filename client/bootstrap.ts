/**
 * A machine's first certificate, as kubelet gets it (`pkg/kubelet/certificate/bootstrap`; `kubelet-bootstrap.md` §2–§5,
 * §8): bootstrap kubeconfig → key kept → CSR with a digest name → wait → check → store → kubeconfig.
 */
import { dirname } from "node:path";
import { bootstrapUsages } from "../core/bootstrap/client_usages.ts";
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { createDigestCsrName } from "../core/bootstrap/csr_name.ts";
import { type NodeName, nodeSubject } from "../core/bootstrap/node_name.ts";
import { AppError, isAppError } from "../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../core/kube/certificates_v1.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { PrivateKey } from "../core/pki/keys.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import type { FindBootstrapCluster } from "./bootstrap_credentials.ts";
import { forgetKey, keepKey, type StoredPair, toRequestNote } from "./bootstrap_key.ts";
import type { Connect } from "./connect.ts";
import { type CredentialStore, openCredentialStore } from "./credential_store.ts";
import type { CertificateRequest } from "./csr_request.ts";
import type { FilePort } from "./files.ts";
import { findSecretFault } from "./private_file.ts";
import { checkKubeconfig } from "./kubeconfig_validity.ts";
import { encodeNodeKubeconfig } from "./node_kubeconfig.ts";
import { obtainCertificate, type ObtainedCertificate, type ObtainProgress } from "./obtain_certificate.ts";
import { waitForServer } from "./server_health.ts";
import { type ClockSkew, isSkewed, observeServerTime, type TimedTransport } from "./server_time.ts";

/** What bootstrapping needs. */
export interface BootstrapOptions {
  /** Called only when there is something to do. */
  readonly findCluster: FindBootstrapCluster;
  /** Written at the end; when it is valid already there is nothing to do. */
  readonly kubeconfigPath: string;
  readonly certDir: string;
  readonly nodeName: NodeName;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly connect: Connect;
  readonly onProgress?: (event: BootstrapProgress) => void;
  /** How long to wait for the certificate. Default 3600, kubelet's. */
  readonly waitSeconds?: number;
  /** How long the certificate should live; the signer's own choice without it, as kubelet asks. */
  readonly expirationSeconds?: number;
  /** A command that goes on with the request, kept beside its key for whoever finds it waiting. */
  readonly resumeCommand?: string;
}

/** What happens on the way, for a person who watches. */
export type BootstrapProgress =
  | ObtainProgress
  /** There is a kubeconfig, but it cannot be used; `reason` is kubelet's text. */
  | { readonly kind: "kubeconfigInvalid"; readonly reason: string }
  | { readonly kind: "keyKept"; readonly path: string; readonly reused: boolean }
  | { readonly kind: "waitingForServer"; readonly server: string }
  | { readonly kind: "clockSkew"; readonly skew: ClockSkew }
  | { readonly kind: "stored"; readonly path: string }
  | { readonly kind: "kubeconfigWritten"; readonly path: string };

/** How it ended; everything else is an error. */
export type BootstrapOutcome =
  | { readonly kind: "alreadyValid"; readonly pair: CredentialPair }
  | {
    readonly kind: "issued";
    readonly csrName: string;
    /** The request of an earlier run was taken up. */
    readonly adopted: boolean;
    readonly pair: CredentialPair;
    /** The link that the kubeconfig names. */
    readonly certificatePath: string;
  };

/** Prefix of the client certificate's files, and the signer that issues it. */
export const CLIENT_STORE_PREFIX = "kubelet-client";

const WAIT_SECONDS = 3600;
const KUBECONFIG_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/**
 * Gets a certificate and a kubeconfig, or finds that there is one. AppError: `kubeconfig_invalid`, `key_invalid`,
 * `pki_invalid`, `file_exists` (the files of another node), `io`; `credentials_missing`; `unreachable`,
 * `tls_untrusted`; `unauthorized`, `access_denied`; `csr_incompatible`, `csr_denied`, `csr_failed`, `csr_deleted`,
 * `timeout`; `clock_skew`. Whatever happens, running it again goes on from where it stopped.
 */
export async function bootstrap(options: BootstrapOptions, signal: AbortSignal): Promise<BootstrapOutcome> {
  const { files, clock, logger } = options;
  const validity = await checkKubeconfig(options.kubeconfigPath, options);
  if (validity.kind === "valid") {
    checkOwner(validity.pair, options.nodeName, options.kubeconfigPath);
    return { kind: "alreadyValid", pair: validity.pair };
  }
  if (validity.kind === "invalid") {
    logger.warn("kubeconfig cannot be used, bootstrapping again", { reason: validity.reason });
    options.onProgress?.({ kind: "kubeconfigInvalid", reason: validity.reason });
  }
  const cluster = await options.findCluster(signal);
  const store = await openCredentialStore({ files, clock, certDir: options.certDir, prefix: CLIENT_STORE_PREFIX });
  const stored = await findStored(options, store);
  await checkTargets(options, store);
  const kept = await keepKey(store, files, stored, toRequestNote(options.nodeName, options.resumeCommand));
  options.onProgress?.({ kind: "keyKept", path: kept.path, reused: kept.reused });
  await using connection = await options.connect(cluster);
  const transport = observeServerTime(connection, clock);
  const issued = await obtain(options, cluster, createClientRequest(options, kept.key), transport, signal);
  const pair = await store.update(issued.pair.certificatePem, issued.pair.keyPem);
  options.onProgress?.({ kind: "stored", path: store.currentPath });
  await forgetKey(store, options);
  await writeKubeconfig(options, cluster, store);
  options.onProgress?.({ kind: "kubeconfigWritten", path: options.kubeconfigPath });
  return {
    kind: "issued",
    csrName: issued.submitted.name,
    adopted: issued.submitted.adopted,
    pair,
    certificatePath: store.currentPath,
  };
}

/**
 * The stored pair; its key is used again when only the kubeconfig was lost. Not a key that others may know or have put
 * there, and not that of an expired pair, where kubelet does so too: the request of its first time still bears the name
 * that the key gives, and a certificate that is over.
 */
async function findStored(options: BootstrapOptions, store: CredentialStore): Promise<StoredPair> {
  // A pair that cannot be read is no obstacle here, as for kubelet: a new one will take its place.
  const found = await store.find().catch((error: unknown) => {
    if (isAppError(error, "pki_invalid")) return undefined;
    throw error;
  });
  if (found === undefined) return { pair: undefined, isReusable: false };
  const { pair, keyPath } = found;
  checkOwner(pair, options.nodeName, options.certDir);
  // The link that a store consists of is followed; what it leads to must be a secret.
  const facts = await options.files.stat(keyPath);
  const isSecret = facts !== undefined && findSecretFault(facts) === undefined;
  return { pair, isReusable: isSecret && pair.leaf.notAfter >= options.clock.now() };
}

/** What would be in the way of the files, before anybody is asked for what goes into them. */
async function checkTargets({ files, kubeconfigPath }: BootstrapOptions, store: CredentialStore): Promise<void> {
  await store.checkUpdatable();
  const facts = await files.stat(kubeconfigPath);
  if (facts === undefined || facts.kind === "file") return;
  throw new AppError("io", `cannot write kubeconfig "${kubeconfigPath}": it is no file`, {
    hint: "choose another path with --kubeconfig",
  });
}

/** Two nodes that share files would take each other's certificates away. */
function checkOwner(pair: CredentialPair, nodeName: NodeName, path: string): void {
  const { commonName } = nodeSubject(nodeName);
  const found = pair.leaf.subject.commonName;
  if (found === commonName) return;
  throw new AppError("file_exists", `cannot use "${path}" for "${commonName}": its certificate is of "${found}"`, {
    hint: "choose other paths, or give that node's name with --hostname-override",
  });
}

async function obtain(
  options: BootstrapOptions,
  cluster: ResolvedCluster,
  request: CertificateRequest,
  transport: TimedTransport,
  signal: AbortSignal,
): Promise<ObtainedCertificate> {
  options.onProgress?.({ kind: "waitingForServer", server: cluster.server });
  await waitForServer(transport, options, signal);
  reportSkew(options, transport);
  const timeoutSeconds = options.waitSeconds ?? WAIT_SECONDS;
  return await obtainCertificate({ ...options, transport, request, timeoutSeconds }, signal);
}

function createClientRequest({ nodeName, expirationSeconds }: BootstrapOptions, key: PrivateKey): CertificateRequest {
  const subject = nodeSubject(nodeName);
  const usages = bootstrapUsages(key.algorithm);
  const name = createDigestCsrName({ publicKeyDer: key.publicKeyDer(), ...subject, usages });
  return {
    key,
    subject,
    signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
    usages,
    ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
    name: { fixed: name },
  };
}

function reportSkew(options: BootstrapOptions, transport: TimedTransport): void {
  const skew = transport.findSkew();
  if (!isSkewed(skew)) return;
  options.logger.warn("this machine's clock differs from the server's", {
    serverTime: formatTime(skew.serverTime),
    ourTime: formatTime(skew.ourTime),
  });
  options.onProgress?.({ kind: "clockSkew", skew });
}

async function writeKubeconfig(
  options: BootstrapOptions,
  cluster: ResolvedCluster,
  store: CredentialStore,
): Promise<void> {
  const text = encodeNodeKubeconfig(cluster, store.currentPath);
  await options.files.makeDirectory(dirname(options.kubeconfigPath), DIRECTORY_MODE);
  await options.files.writeAtomic(options.kubeconfigPath, text, KUBECONFIG_MODE);
}
