/**
 * Obtains a machine's client certificate without a network, like `bootstrap.ts` but with a request on a stick that is
 * carried to the CA. The same command writes the request, reads the answer, and renews in time.
 */
import type { CredentialPair } from "../core/machine/credential_pair.ts";
import {
  type CertificateTemplate,
  getPairStatus,
  satisfiesTemplate,
  toRenewableCertificate,
} from "../core/machine/renewal_schedule.ts";
import { AppError } from "../core/errors.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { formatDuration } from "../core/lib/duration.ts";
import { isSameSet } from "../core/lib/record.ts";
import { toPins } from "../core/offline/accept_answer.ts";
import type { OfflineSite } from "../core/offline/bundle.ts";
import { encodeCertificates, listBundled } from "../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import { type PublicKeyPin, publicKeyPin } from "../core/pki/keys/key_names.ts";
import {
  type BootstrapOptions,
  checkOwner,
  checkTargets,
  CLIENT_STORE_PREFIX,
  createClientRequest,
  findStored,
  keepNodeKey,
} from "./bootstrap.ts";
import {
  type CredentialStore,
  forgetKey,
  forgetSpentKey,
  openCredentialStore,
} from "./certificate/credential_store.ts";
import { exchangeOffline, type OfflineExchange } from "./certificate/offline_exchange.ts";
import type { FilePort } from "./files.ts";
import { checkKubeconfig, writeNodeKubeconfig } from "./node_kubeconfig.ts";
import { createServingSteps, findServingPair, SERVING_STORE_PREFIX } from "./serving.ts";
import { readCluster } from "./transport/connect.ts";

/** The files, the identity and the adapters of a bootstrap without a network. */
export interface OfflineBootstrapOptions
  extends Omit<BootstrapOptions, "findCluster" | "prove" | "random" | "waitSeconds"> {
  /** The absolute path of the stick. */
  readonly folder: string;
  /** The pins of the site's CAs that the operator gave; they replace those that the machine knows. */
  readonly site: readonly PublicKeyPin[];
  /** The URL of the API server, for an answer without it. */
  readonly server: string | undefined;
  /** Renew when less than this is left of the lifetime. Default: after 70 percent of the lifetime. */
  readonly renewBeforeMs: number | undefined;
}

/** The suffix of the name of a request for a serving certificate. No machine has a name with an underscore. */
const SERVING_SUFFIX = "_serving";

/** The result of a bootstrap without a network; every failure is an error instead. */
export type OfflineBootstrapOutcome =
  | { readonly kind: "alreadyValid"; readonly pair: CredentialPair }
  /** The request is on the stick; `pair` is the certificate in use that it replaces. */
  | (OfflineExchange & { readonly kind: "pending" } & { readonly current: CredentialPair | undefined })
  | {
    readonly kind: "issued";
    readonly pair: CredentialPair;
    /** The link that the kubeconfig refers to. */
    readonly certificatePath: string;
    /** The CA of the answer, if the machine knew no CA to compare it with. */
    readonly trustedCa: PublicKeyPin | undefined;
  };

/**
 * Takes the next step: writes the request, or stores the answered certificate and writes the kubeconfig. AppError as
 * `exchangeOffline`, and `kubeconfig_invalid` when the address of the API server is not known; then the certificate is stored,
 * and another run writes the kubeconfig.
 */
export async function bootstrapOffline(options: OfflineBootstrapOptions): Promise<OfflineBootstrapOutcome> {
  const { files, clock, logger, kubeconfigPath, nodeName } = options;
  const validity = await checkKubeconfig(kubeconfigPath, options);
  if (validity.kind === "valid") checkOwner(validity.pair, nodeName, kubeconfigPath);
  const store = await openCredentialStore({ files, clock, certDir: options.certDir, prefix: CLIENT_STORE_PREFIX });
  const stored = await findStored(options, store);
  await forgetSpentKey({ path: store.temporaryKeyPath, files, stored: stored.pair?.leaf });
  const isWaiting = await files.stat(store.temporaryKeyPath) !== undefined;
  if (validity.kind === "valid" && !isWaiting && !isRenewalDue(validity.pair.leaf, options)) {
    return { kind: "alreadyValid", pair: validity.pair };
  }
  if (validity.kind === "invalid") options.onProgress?.({ kind: "kubeconfigInvalid", reason: validity.reason });
  await checkTargets(options, store);
  const current = stored.pair ?? (validity.kind === "valid" ? validity.pair : undefined);
  const known = await readKnownSite(kubeconfigPath, files);
  const site = options.site.length > 0 ? options.site : toPins(known?.cas ?? []);
  const isReusable = stored.isReusable && validity.kind !== "valid" && !isWaiting;
  const exchange = await exchangeOffline({
    folder: options.folder,
    name: nodeName,
    site,
    keepKey: () => keepNodeKey(options, store, { ...stored, isReusable }),
    createRequest: (key) => createClientRequest(options, key),
    requester: current !== undefined && clock.now() < current.leaf.notAfter ? current : undefined,
    stored: current?.leaf,
    async store(pair) {
      // A run that could not write the kubeconfig has stored it already.
      if (stored.pair?.leaf.sha256Fingerprint === pair.leaf.sha256Fingerprint) return;
      await store.update(pair.certificatePem, pair.keyPem);
      options.onProgress?.({ kind: "stored", path: store.currentPath });
    },
    files,
    clock,
  });
  if (exchange.kind === "pending") return { ...exchange, current };
  const { answer, pair } = exchange;
  await updateKubeconfig(options, answer, known, store);
  await forgetKey(store.temporaryKeyPath, files, logger);
  const [[ca] = []] = answer.authorities;
  const trustedCa = site.length > 0 || ca === undefined ? undefined : publicKeyPin(ca);
  return { kind: "issued", pair, certificatePath: store.currentPath, trustedCa };
}

/** The names, the files and the adapters of a serving certificate without a network. */
interface OfflineServingOptions extends Omit<OfflineBootstrapOptions, "connect" | "server"> {
  readonly template: CertificateTemplate;
}

/** The result for a serving certificate; every failure is an error instead. */
type OfflineServingOutcome =
  | { readonly kind: "alreadyValid" | "issued"; readonly pair: CredentialPair; readonly certificatePath: string }
  | OfflineExchange & { readonly kind: "pending" };

/**
 * Takes the next step for the serving certificate, as `bootstrapOffline` does for the client certificate. The client
 * certificate signs its request, if there is one. AppError as `exchangeOffline`.
 */
export async function bootstrapServingOffline(options: OfflineServingOptions): Promise<OfflineServingOutcome> {
  const { files, clock, certDir, template, nodeName } = options;
  const now = clock.now();
  const store = await openCredentialStore({ files, clock, certDir, prefix: SERVING_STORE_PREFIX });
  const { pair: current } = await findServingPair(store);
  await forgetSpentKey({ path: store.temporaryKeyPath, files, stored: current?.leaf });
  const isWaiting = await files.stat(store.temporaryKeyPath) !== undefined;
  const isUsable = current !== undefined && now < current.leaf.notAfter &&
    satisfiesTemplate(toRenewableCertificate(current.leaf), template);
  if (isUsable && !isWaiting && !isRenewalDue(current.leaf, options)) {
    return { kind: "alreadyValid", pair: current, certificatePath: store.currentPath };
  }
  await store.checkUpdatable();
  const client = await (await openCredentialStore({ files, clock, certDir, prefix: CLIENT_STORE_PREFIX })).current();
  const exchange = await exchangeOffline({
    folder: options.folder,
    name: `${nodeName}${SERVING_SUFFIX}`,
    site: options.site.length > 0
      ? options.site
      : toPins((await readKnownSite(options.kubeconfigPath, files))?.cas ?? []),
    ...createServingSteps(options, store, current),
    requester: client !== undefined && now < client.leaf.notAfter ? client : undefined,
    stored: current?.leaf,
    files,
    clock,
  });
  if (exchange.kind === "pending") return exchange;
  return { kind: "issued", pair: exchange.pair, certificatePath: store.currentPath };
}

/**
 * Reports whether the certificate is due for renewal. AppError `invalid` for a setting that would replace each new
 * certificate at once.
 */
function isRenewalDue(
  leaf: CertificateFacts,
  { renewBeforeMs, clock }: Pick<OfflineBootstrapOptions, "renewBeforeMs" | "clock">,
): boolean {
  const now = clock.now();
  if (renewBeforeMs === undefined) return getPairStatus(leaf, now).renewalFrom <= now;
  const lifetimeMs = leaf.notAfter.getTime() - leaf.notBefore.getTime();
  if (renewBeforeMs < lifetimeMs) return leaf.notAfter.getTime() - now.getTime() <= renewBeforeMs;
  throw new AppError("invalid", `cannot renew the certificate: its lifetime is only ${formatDuration(lifetimeMs)}`, {
    hint: "give a shorter time with the setting renewBefore; otherwise each new certificate would be replaced at once",
  });
}

/** The site of a machine according to its kubeconfig. */
interface KnownSite {
  readonly cluster: ResolvedCluster;
  readonly cas: readonly CertificateFacts[];
}

/** Reads the API server's address and CAs from the kubeconfig; undefined when there is none, or it cannot be used. */
async function readKnownSite(path: string, files: FilePort): Promise<KnownSite | undefined> {
  if (await files.stat(path) === undefined) return undefined;
  try {
    const cluster = await readCluster(path, files);
    const pem = cluster.ca?.kind === "file" ? await files.readText(cluster.ca.path) : cluster.ca?.pem;
    return { cluster, cas: listBundled(pem ?? "") };
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

/** Writes the kubeconfig, unless it would not change. AppError `kubeconfig_invalid`, `io`. */
async function updateKubeconfig(
  { kubeconfigPath, server: named, files, onProgress }: OfflineBootstrapOptions,
  { server: answered, serverCas }: OfflineSite,
  known: KnownSite | undefined,
  { currentPath }: Pick<CredentialStore, "currentPath">,
): Promise<void> {
  const server = named ?? answered ?? known?.cluster.server;
  if (server === undefined) {
    throw new AppError(
      "kubeconfig_invalid",
      `cannot write kubeconfig "${kubeconfigPath}": the answer does not say where the API server is`,
      {
        hint:
          "the certificate is stored; run the command again with the setting server, or sign again at the CA with " +
          "the setting server",
      },
    );
  }
  const hasCas = isSameSet(toPins(known?.cas ?? []), toPins(serverCas));
  const certificate = known?.cluster.clientCertificate;
  const hasCertificate = certificate?.kind === "file" && certificate.path === currentPath;
  if (hasCas && hasCertificate && known?.cluster.server === server) return;
  const ca = hasCas && known?.cluster.ca !== undefined
    ? known.cluster.ca
    : { kind: "pem" as const, pem: encodeCertificates(serverCas) };
  const cluster = { server, ca, insecureSkipTlsVerify: false };
  await writeNodeKubeconfig(kubeconfigPath, cluster, currentPath, files);
  onProgress?.({ kind: "kubeconfigWritten", path: kubeconfigPath });
}
