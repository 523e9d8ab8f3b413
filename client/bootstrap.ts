/**
 * Obtains a machine's first certificate as kubelet does (`pkg/kubelet/certificate/bootstrap/bootstrap.go`): bootstrap
 * kubeconfig → stored key → CSR with a digest name → wait → check → store → kubeconfig.
 */
import { getKubeletUsages, type NodeName, toNodeSubject } from "../core/machine/node_name.ts";
import type { CredentialPair } from "../core/machine/credential_pair.ts";
import { AppError, isAppError } from "../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../core/kube/kinds/constants.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { formatTime } from "../core/kube/meta.ts";
import { shellWord } from "../core/lib/printable.ts";
import { findKeyAlgorithm, type KeyAlgorithm, type PrivateKey } from "../core/pki/keys/keys.ts";
import type { Clock, Logger, Random, Transport } from "../core/ports.ts";
import { type Connect, readCluster } from "./transport/connect.ts";
import {
  type CredentialStore,
  forgetKey,
  keepKey,
  type KeptKey,
  openCredentialStore,
} from "./certificate/credential_store.ts";
import type { FilePort } from "./files.ts";
import { checkKubeconfig, readNodeCluster, writeNodeKubeconfig } from "./node_kubeconfig.ts";
import type { CertificateRequest } from "./certificate/submit_request.ts";
import { obtainCertificate, type ObtainedCertificate, type ObtainProgress } from "./certificate/obtain_certificate.ts";
import { findSecretFault } from "./private_file.ts";
import { isSkewed, type TimedTransport } from "./transport/server_time.ts";
import type { ClockReading } from "../core/report/health/machine.ts";
import { limitTime } from "./transport/time_limit.ts";
import { createNodeCsrName } from "../core/machine/adoption.ts";

/**
 * Finds the cluster and the bootstrap credentials. It is called each time they are needed, so a new file takes effect.
 */
export type FindBootstrapCluster = (signal: AbortSignal) => Promise<ResolvedCluster>;

/** Proves this machine's identity, and returns the cluster with credentials for requests with this key only. */
export type ProveIdentity = (key: PrivateKey, signal: AbortSignal) => Promise<ResolvedCluster>;

/** The files, the identity and the adapters of a bootstrap. */
export interface BootstrapOptions {
  /** Finds the cluster; called only when a certificate is needed. */
  readonly findCluster: FindBootstrapCluster;
  /**
   * Used instead of `findCluster`: each request, including a renewal, gets its credentials by a new proof, even while
   * the certificate is valid.
   */
  readonly prove?: ProveIdentity | undefined;
  /** The kubeconfig to write at the end. When it is valid already, there is nothing to do. */
  readonly kubeconfigPath: string;
  readonly certDir: string;
  readonly nodeName: NodeName;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly connect: Connect;
  readonly onProgress?: ((event: BootstrapProgress) => void) | undefined;
  /** How long to wait for the certificate. Default: 3600, as in kubelet. */
  readonly waitSeconds?: number | undefined;
  /** The requested lifetime; the signer chooses when it is absent, as for kubelet. */
  readonly expirationSeconds?: number | undefined;
  /** The algorithm of a new key. Default: ECDSA P-256, as in kubelet. */
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
  /** A command that continues the request; it is stored with the key, so that `doctor` can show it. */
  readonly resumeCommand?: string;
}

/** A step of a bootstrap, for progress output. */
export type BootstrapProgress =
  | ObtainProgress
  /** The kubeconfig exists but cannot be used. */
  | { readonly kind: "kubeconfigInvalid"; readonly reason: string }
  /** The stored certificate has expired, and a new one is requested with it. */
  | { readonly kind: "recovering"; readonly expiredAt: Date; readonly server: string }
  /** The server does not accept the expired certificate; the bootstrap credentials are used instead. */
  | { readonly kind: "recoveryRefused"; readonly reason: string }
  /** The certificate is valid, but a run with proofs requests a new one anyway. */
  | { readonly kind: "provingAgain"; readonly expiresAt: Date }
  | { readonly kind: "keyKept"; readonly path: string; readonly reused: boolean }
  | { readonly kind: "waitingForServer"; readonly server: string }
  | { readonly kind: "clockSkew"; readonly skew: ClockReading }
  | { readonly kind: "stored"; readonly path: string }
  | { readonly kind: "kubeconfigWritten"; readonly path: string };

/** The result of a bootstrap; every failure is an error instead. */
export type BootstrapOutcome =
  | { readonly kind: "alreadyValid"; readonly pair: CredentialPair }
  | {
    readonly kind: "issued";
    readonly csrName: string;
    /** True when the request of an earlier run was adopted. */
    readonly adopted: boolean;
    readonly pair: CredentialPair;
    /** The link that the kubeconfig refers to. */
    readonly certificatePath: string;
  };

/** The prefix of the client certificate's files. */
export const CLIENT_STORE_PREFIX = "kubelet-client";

const WAIT_SECONDS = 3600;

/**
 * Obtains a certificate and a kubeconfig, unless a valid kubeconfig exists. AppError: `kubeconfig_invalid`,
 * `key_invalid`, `pki_invalid`, `file_exists` (the files of another node), `io`; `credentials_missing`; `unreachable`,
 * `tls_untrusted`; `unauthorized`, `access_denied`; `csr_incompatible`, `csr_denied`, `csr_failed`, `csr_deleted`,
 * `timeout`; `clock_skew`. After any failure, running it again continues where it stopped.
 */
export async function bootstrap(options: BootstrapOptions, signal: AbortSignal): Promise<BootstrapOutcome> {
  const { files, clock, logger } = options;
  const validity = await checkKubeconfig(options.kubeconfigPath, options);
  if (validity.kind === "valid") {
    checkOwner(validity.pair, options.nodeName, options.kubeconfigPath);
    if (options.prove === undefined) return { kind: "alreadyValid", pair: validity.pair };
    options.onProgress?.({ kind: "provingAgain", expiresAt: validity.pair.leaf.notAfter });
  }
  if (validity.kind === "invalid") {
    logger.warn("kubeconfig cannot be used, bootstrapping again", { reason: validity.reason });
    options.onProgress?.({ kind: "kubeconfigInvalid", reason: validity.reason });
  }
  const store = await openCredentialStore({ files, clock, certDir: options.certDir, prefix: CLIENT_STORE_PREFIX });
  const stored = await findStored(options, store);
  await checkTargets(options, store);
  const proven = options.prove && await proveWithKey(options, options.prove, store, stored, signal);
  const obtain = (cluster: ResolvedCluster): Promise<ObtainedCertificate> =>
    obtainCertificate({
      ...options,
      keepKey: async () => proven ?? await keepNodeKey(options, store, stored),
      createRequest: (key) => ({
        ...createClientRequest(options, key),
        // The next run finds a request by its name. An earlier request may lack the proof,
        // so a request with a proof gets a new name.
        ...(proven === undefined ? {} : { name: { prefix: "csr-" } }),
      }),
      connect: () => options.connect(cluster),
      beforeSubmit: (transport) => prepareServer(options, cluster, transport, signal),
      timeoutSeconds: options.waitSeconds ?? WAIT_SECONDS,
      async store(pair) {
        await store.update(pair.certificatePem, pair.keyPem);
        options.onProgress?.({ kind: "stored", path: store.currentPath });
        await forgetKey(store.temporaryKeyPath, files, logger);
      },
    }, signal);
  const { cluster, submitted, pair } = proven === undefined
    ? await recoverExpired(options, store, stored, obtain) ??
      await obtainWith(await options.findCluster(signal), obtain)
    : await obtainWith(proven.cluster, obtain);
  await writeNodeKubeconfig(options.kubeconfigPath, cluster, store.currentPath, files);
  options.onProgress?.({ kind: "kubeconfigWritten", path: options.kubeconfigPath });
  const { name: csrName, adopted } = submitted;
  return { kind: "issued", csrName, adopted, pair, certificatePath: store.currentPath };
}

/** Chooses the key of the request, and proves this machine's identity for that key. */
async function proveWithKey(
  options: BootstrapOptions,
  prove: ProveIdentity,
  store: CredentialStore,
  stored: StoredPair,
  signal: AbortSignal,
): Promise<KeptKey & { readonly cluster: ResolvedCluster }> {
  const kept = await keepNodeKey(options, store, stored);
  return { ...kept, cluster: await prove(kept.key, signal) };
}

/** Obtains a certificate over a connection to a cluster. */
type Obtain = (cluster: ResolvedCluster) => Promise<ObtainedCertificate>;

async function obtainWith(
  cluster: ResolvedCluster,
  obtain: Obtain,
): Promise<ObtainedCertificate & { readonly cluster: ResolvedCluster }> {
  return { cluster, ...await obtain(cluster) };
}

/**
 * Obtains a certificate with the expired one, which a server accepts only if its operator allows it
 * (`--node-recovery`). Undefined when no certificate has expired or the server refuses it.
 */
async function recoverExpired(
  options: BootstrapOptions,
  store: CredentialStore,
  { pair }: StoredPair,
  obtain: Obtain,
): Promise<ObtainedCertificate & { readonly cluster: ResolvedCluster } | undefined> {
  if (pair === undefined || pair.leaf.notAfter >= options.clock.now()) return undefined;
  if (await options.files.stat(options.kubeconfigPath) === undefined) return undefined;
  const cluster = await readNodeCluster({ ...options, store });
  options.onProgress?.({ kind: "recovering", expiredAt: pair.leaf.notAfter, server: cluster.server });
  return await ifAccepted(() => obtainWith(cluster, obtain), (reason) => {
    options.logger.info("the server does not accept the expired certificate", { reason });
    options.onProgress?.({ kind: "recoveryRefused", reason });
  });
}

/** Runs an attempt with an expired certificate; undefined when the server refuses it, which is reported to `onRefused`. */
export async function ifAccepted<T>(
  attempt: () => Promise<T>,
  onRefused: (reason: string) => void,
): Promise<T | undefined> {
  try {
    return await attempt();
  } catch (error) {
    if (!isAppError(error, "unauthorized", "access_denied")) throw error;
    onRefused(error.message);
    return undefined;
  }
}

/**
 * Chooses or creates the key of the next request, and stores it where that request finds it. AppError `key_invalid`,
 * `pki_invalid`, `file_exists`, `io`.
 */
export async function keepNextKey(
  options: Pick<BootstrapOptions, "certDir" | "nodeName" | "files" | "clock" | "keyAlgorithm">,
): Promise<PrivateKey> {
  const { files, clock, certDir } = options;
  const store = await openCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX });
  return (await keepNodeKey(options, store, await findStored(options, store))).key;
}

/** The stored pair, and whether its key may be used again. */
interface StoredPair {
  readonly pair: CredentialPair | undefined;
  /** Whether a new request may use the pair's key. */
  readonly isReusable: boolean;
}

/**
 * Reads the stored pair. Its key is reused if only the kubeconfig was lost, but not if other users may have read or
 * written it. Unlike kubelet, this program does not reuse the key of an expired pair: the CSR name is derived from the
 * key, so the first request would be found again with its expired certificate.
 */
export async function findStored(
  options: Pick<BootstrapOptions, "certDir" | "nodeName" | "files" | "clock">,
  store: CredentialStore,
): Promise<StoredPair> {
  const { pair, isSecret } = await readStored(options, store);
  return { pair, isReusable: pair !== undefined && isSecret && pair.leaf.notAfter >= options.clock.now() };
}

async function readStored(
  options: Pick<BootstrapOptions, "certDir" | "nodeName" | "files">,
  store: CredentialStore,
): Promise<{ readonly pair: CredentialPair | undefined; readonly isSecret: boolean }> {
  // As in kubelet, a pair that cannot be read is ignored, because a new one replaces it.
  const found = await store.find().catch((error: unknown) => {
    if (isAppError(error, "pki_invalid")) return undefined;
    throw error;
  });
  if (found === undefined) return { pair: undefined, isSecret: false };
  const { pair, keyPath } = found;
  checkOwner(pair, options.nodeName, options.certDir);
  // The link of the store is followed; its target must be private.
  const facts = await options.files.stat(keyPath);
  return { pair, isSecret: facts !== undefined && findSecretFault(facts) === undefined };
}

/** Checks that the files can be written, before a certificate is requested for them. */
export async function checkTargets(
  { files, kubeconfigPath }: Pick<BootstrapOptions, "files" | "kubeconfigPath">,
  store: CredentialStore,
): Promise<void> {
  await store.checkUpdatable();
  const facts = await files.stat(kubeconfigPath);
  if (facts === undefined || facts.kind === "file") return;
  throw new AppError("io", `cannot write kubeconfig "${kubeconfigPath}": it is not a file`, {
    hint: "choose another path with the setting kubeconfig",
  });
}

/** Refuses the kubeconfig of another node: two nodes that share files would overwrite each other's certificates. */
export function checkOwner(pair: CredentialPair, nodeName: NodeName, path: string): void {
  const { commonName } = toNodeSubject(nodeName);
  const found = pair.leaf.subject.commonName;
  if (found === commonName) return;
  throw new AppError("file_exists", `cannot use "${path}" for "${commonName}": its certificate is for "${found}"`, {
    hint: "choose other paths, or give that node's name with the setting hostnameOverride",
  });
}

/**
 * Chooses the key of the next request of a kubelet that does not rotate certificates, and stores it where the kubelet
 * finds it: the key of its current pair, even an expired one, else `kubelet-client.key.tmp`. AppError `key_invalid`,
 * `file_exists`, `io`.
 */
export async function keepKubeletKey(
  options: Pick<BootstrapOptions, "certDir" | "nodeName" | "files" | "clock">,
): Promise<KeptKey> {
  const store = await openCredentialStore({ ...options, prefix: CLIENT_STORE_PREFIX });
  const { pair, isSecret } = await readStored(options, store);
  const path = store.currentPath;
  if (pair === undefined || !isReusableKey(pair.key, undefined)) {
    return await keepKey({ path: store.temporaryKeyPath, files: options.files });
  }
  if (isSecret) return { key: pair.key, path, isReused: true };
  throw new AppError("key_invalid", `cannot use the key in "${path}": other users may have read or written it`, {
    hint: "remove the file; then the kubelet gets a new key and a new certificate",
  });
}

/**
 * Chooses the key of the stored pair if it is RSA, ECDSA or of the given algorithm, else the key of an interrupted run,
 * else a new key, as in kubelet (`pkg/kubelet/certificate/bootstrap/bootstrap.go`, LoadClientCert).
 */
export async function keepNodeKey(
  { files, nodeName, keyAlgorithm, resumeCommand: command, onProgress }:
    & Pick<BootstrapOptions, "files" | "nodeName">
    & Partial<BootstrapOptions>,
  store: CredentialStore,
  { pair, isReusable }: StoredPair,
): Promise<KeptKey> {
  const kept = isReusable && pair !== undefined && isReusableKey(pair.key, keyAlgorithm)
    ? { key: pair.key, path: store.currentPath, isReused: true }
    : await keepKey({
      path: store.temporaryKeyPath,
      files,
      algorithm: keyAlgorithm,
      stored: pair?.leaf,
      note: command === undefined ? undefined : { nodeName, command },
    });
  onProgress?.({ kind: "keyKept", path: kept.path, reused: kept.isReused });
  return kept;
}

function isReusableKey(key: PrivateKey, wanted: KeyAlgorithm | undefined): boolean {
  return wanted === undefined ? ["RSA", "ECDSA"].includes(key.algorithm) : findKeyAlgorithm(key) === wanted;
}

async function prepareServer(
  options: BootstrapOptions,
  cluster: ResolvedCluster,
  transport: TimedTransport,
  signal: AbortSignal,
): Promise<void> {
  options.onProgress?.({ kind: "waitingForServer", server: cluster.server });
  await waitForServer(transport, options, signal);
  reportSkew(options, transport);
}

export function createClientRequest(
  { nodeName, expirationSeconds }: Pick<BootstrapOptions, "nodeName" | "expirationSeconds">,
  key: PrivateKey,
): CertificateRequest {
  const subject = toNodeSubject(nodeName);
  const usages = getKubeletUsages("first", key.algorithm);
  const name = createNodeCsrName({ publicKeyDer: key.publicKeyDer(), ...subject, usages });
  return {
    key,
    subject,
    signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
    usages,
    expirationSeconds,
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

/**
 * The limits of waiting for the server, as in kubelet (`waitForServer`): attempts for one minute, each with a timeout
 * of 1 s, and between them pauses of 2 s plus up to 20 percent of jitter.
 */
export const HEALTH_WAIT_MS = 60_000;
const HEALTH_PAUSE_MS = 2_000;
const HEALTH_TIMEOUT_MS = 1_000;

/**
 * Requests `/healthz` until the server answers, for at most a minute or `waitSeconds`. A server that does not answer is
 * only logged, because the next request reports the reason. A refusal of the credentials counts as an answer. AppError
 * `tls_untrusted` at once, because waiting does not change that.
 */
async function waitForServer(
  transport: Transport,
  deps: {
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    readonly waitSeconds?: number | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, logger } = deps;
  const limitMs = Math.min(HEALTH_WAIT_MS, (deps.waitSeconds ?? Infinity) * 1000);
  const startedAt = clock.elapsedMs();
  while (clock.elapsedMs() - startedAt < limitMs) {
    if (await isAnswering(transport, clock, signal)) return;
    await clock.sleep(HEALTH_PAUSE_MS * (1 + 0.2 * random.float()), signal);
  }
  logger.warn("Error waiting for apiserver to come up", { waitedMs: limitMs });
}

async function isAnswering(transport: Transport, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const tooLate = (): Error =>
    new AppError("timeout", "cannot reach the server: no answer in time", { retryable: true });
  await using limit = limitTime(clock, HEALTH_TIMEOUT_MS, tooLate, signal);
  try {
    const answer = await transport.send({ method: "GET", path: "/healthz", headers: {} }, limit.signal);
    for await (const _ of answer.body); // read to the end, so that the connection can be reused
    return (answer.status >= 200 && answer.status < 300) || answer.status === 401 || answer.status === 403;
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error, "unreachable", "timeout")) return false;
    throw error;
  }
}

/**
 * Finds the cluster in a bootstrap kubeconfig, given by its path or its text; `hint` says where to get one. AppError
 * `kubeconfig_invalid`.
 */
export function createKubeconfigFinder(
  pathOrText: string,
  files: FilePort,
  hint = "create one with: tlsboot token create -o kubeconfig --out FILE",
): FindBootstrapCluster {
  return async () => {
    try {
      return await readCluster(pathOrText, files);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      throw new AppError(error.code, `unable to load bootstrap kubeconfig: ${error.message}`, {
        cause: error,
        hint,
      });
    }
  };
}

/**
 * Creates a finder that always fails with AppError `credentials_missing`, for a bootstrap with `kubeconfigPath` alone.
 */
export function createMissingCredentialsFinder(kubeconfigPath: string, nodeName: string): FindBootstrapCluster {
  return () =>
    Promise.reject(
      new AppError(
        "credentials_missing",
        `cannot request a certificate: "${kubeconfigPath}" has no valid one, and there are no bootstrap credentials`,
        {
          hint: "on the server, run the following command, and run here what it prints: " +
            `tlsboot token create --node ${shellWord(nodeName)} -o command`,
        },
      ),
    );
}
