/**
 * A machine's first certificate, as kubelet gets it (`pkg/kubelet/certificate/bootstrap`; `kubelet-bootstrap.md` §2–§5,
 * §8): bootstrap kubeconfig → key kept → CSR with a digest name → wait → check → store → kubeconfig.
 */
import { dirname } from "node:path";
import { bootstrapUsages } from "../core/bootstrap/client_usages.ts";
import type { CredentialPair } from "../core/bootstrap/credential_pair.ts";
import { createDigestCsrName } from "../core/bootstrap/csr_name.ts";
import { type NodeName, nodeSubject } from "../core/bootstrap/node_name.ts";
import { AppError } from "../core/errors.ts";
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind } from "../core/kube/kinds/mod.ts";
import { encodeKubeconfig } from "../core/kube/kubeconfig.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig_context.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { keepKey, type KeptKey, temporaryKeyPath } from "./bootstrap_key.ts";
import { type CertificateRequest, submitRequest, type SubmittedRequest } from "./csr_request.ts";
import { waitForCertificate } from "./csr_wait.ts";
import { type Connect, readCluster } from "./connect.ts";
import { type CredentialStore, openCredentialStore } from "./credential_store.ts";
import type { FilePort } from "./files.ts";
import { blameClock, checkIssued } from "./issued_certificate.ts";
import { checkKubeconfig } from "./kubeconfig_validity.ts";
import { createObjectStore } from "./object_store.ts";
import { waitForServer } from "./server_health.ts";
import { type ClockSkew, isSkewed, observeServerTime, type TimedTransport } from "./server_time.ts";

/** What bootstrapping needs. */
export interface BootstrapOptions {
  readonly bootstrapKubeconfigPath: string;
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
}

/** What happens on the way, for a person who watches. */
export type BootstrapProgress =
  /** There is a kubeconfig, but it cannot be used; `reason` is kubelet's text. */
  | { readonly kind: "kubeconfigInvalid"; readonly reason: string }
  | { readonly kind: "keyKept"; readonly path: string; readonly reused: boolean }
  | { readonly kind: "waitingForServer"; readonly server: string }
  | { readonly kind: "clockSkew"; readonly skew: ClockSkew }
  | { readonly kind: "submitted"; readonly name: string; readonly adopted: boolean }
  | { readonly kind: "approved"; readonly name: string; readonly reason: string }
  | { readonly kind: "issued"; readonly name: string; readonly notBefore: Date; readonly notAfter: Date }
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
const DIRECTORY_MODE = 0o755;

/**
 * Gets a certificate and a kubeconfig, or finds that there is one. AppError: `kubeconfig_invalid`, `key_invalid`,
 * `pki_invalid`, `io`; `unreachable`, `tls_untrusted`; `unauthorized`, `access_denied`; `csr_incompatible`,
 * `csr_denied`, `csr_failed`, `csr_deleted`, `timeout`; `clock_skew`. Whatever happens, running it again goes on from
 * where it stopped.
 */
export async function bootstrap(options: BootstrapOptions, signal: AbortSignal): Promise<BootstrapOutcome> {
  const { files, clock, logger } = options;
  const validity = await checkKubeconfig(options.kubeconfigPath, options);
  if (validity.kind === "valid") return { kind: "alreadyValid", pair: validity.pair };
  if (validity.kind === "invalid") {
    logger.warn("kubeconfig cannot be used, bootstrapping again", { reason: validity.reason });
    options.onProgress?.({ kind: "kubeconfigInvalid", reason: validity.reason });
  }
  const cluster = await readBootstrapCluster(options);
  const store = await openCredentialStore({ files, clock, certDir: options.certDir, prefix: CLIENT_STORE_PREFIX });
  const kept = await keepKey(store, files);
  options.onProgress?.({ kind: "keyKept", path: kept.path, reused: kept.reused });
  await using connection = await options.connect(cluster);
  const transport = observeServerTime(connection, clock);
  const issued = await obtain(options, cluster, kept, transport, signal);
  const pair = await store.update(issued.pair.certificatePem, issued.pair.keyPem);
  options.onProgress?.({ kind: "stored", path: store.currentPath });
  await forgetTemporaryKey(options, store);
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

async function readBootstrapCluster(options: BootstrapOptions): Promise<ResolvedCluster> {
  try {
    return await readCluster(options.bootstrapKubeconfigPath, options.files);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError(error.code, `unable to load bootstrap kubeconfig: ${error.message}`, {
      cause: error,
      hint: "create one with: tlsboot kubeconfig bootstrap",
    });
  }
}

async function obtain(
  options: BootstrapOptions,
  cluster: ResolvedCluster,
  kept: KeptKey,
  transport: TimedTransport,
  signal: AbortSignal,
): Promise<{ readonly submitted: SubmittedRequest; readonly pair: CredentialPair }> {
  const { clock, random, logger, onProgress } = options;
  onProgress?.({ kind: "waitingForServer", server: cluster.server });
  await waitForServer(transport, options, signal);
  reportSkew(options, transport);
  const request = firstRequest(options.nodeName, kept);
  const csrs = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, options);
  const submitted = await submitRequest(csrs, request, clock, signal).catch((error: unknown) => {
    throw blameClock(error, transport.findSkew());
  });
  const { name, uid, adopted } = submitted;
  logger.info(adopted ? "CSR adopted" : "CSR created", { csr: name, signerName: request.signerName });
  onProgress?.({ kind: "submitted", name, adopted });
  const certificatePem = await waitForCertificate({
    transport,
    name,
    uid,
    clock,
    random,
    logger,
    timeoutSeconds: options.waitSeconds ?? WAIT_SECONDS,
    onApproved: (reason) => onProgress?.({ kind: "approved", name, reason }),
  }, signal);
  const check = { csrName: name, request, now: clock.now(), skew: transport.findSkew() };
  const pair = checkIssued(certificatePem, check);
  const { notBefore, notAfter } = pair.leaf;
  logger.info("certificate issued", { csr: name, fingerprint: pair.leaf.sha256Fingerprint, notAfter });
  onProgress?.({ kind: "issued", name, notBefore, notAfter });
  return { submitted, pair };
}

function firstRequest(nodeName: NodeName, kept: KeptKey): CertificateRequest {
  const subject = nodeSubject(nodeName);
  const usages = bootstrapUsages(kept.key.algorithm);
  const name = createDigestCsrName({ publicKeyDer: kept.key.publicKeyDer(), ...subject, usages });
  return { key: kept.key, subject, signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER, usages, name: { fixed: name } };
}

function reportSkew(options: BootstrapOptions, transport: TimedTransport): void {
  const skew = transport.findSkew();
  if (!isSkewed(skew)) return;
  options.logger.warn("this machine's clock differs from the server's", {
    serverTime: skew.serverTime.toISOString(),
    ourTime: skew.ourTime.toISOString(),
  });
  options.onProgress?.({ kind: "clockSkew", skew });
}

/** The certificate is stored by now: a key that stays behind is only untidy, as kubelet sees it. */
async function forgetTemporaryKey(options: BootstrapOptions, store: CredentialStore): Promise<void> {
  try {
    await options.files.unlink(temporaryKeyPath(store));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    options.logger.warn("cannot remove the temporary key", { error: error.message });
  }
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

/** The kubeconfig of a node, in kubelet's names; nothing of the bootstrap credentials is in it. */
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
