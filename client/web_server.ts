/**
 * Obtains and renews the certificate of a web server. With a bootstrap token it obtains the identity, a client
 * certificate for the API, and with the identity the serving certificate and all renewals. Each run does what is due;
 * after an interruption, the next run continues.
 */
import { join } from "node:path";
import { WEB_GROUP, WEB_SIGNER, WEB_USER_PREFIX } from "../core/approval/rules/web_certificates.ts";
import { type CaRetirement, getRenewalTime, isRetiring } from "../core/machine/renewal_schedule.ts";
import { AppError, getErrorMessage, isAppError } from "../core/errors.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../core/kube/kinds/constants.ts";
import type { ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { CertificateFacts } from "../core/pki/x509/certificate.ts";
import type { KeyAlgorithm } from "../core/pki/keys/keys.ts";
import type { Clock, Logger, Random } from "../core/ports.ts";
import { createKubeconfigTarget, openPairFolder, type PairPaths } from "./certificate/pair_folder.ts";
import type { FindBootstrapCluster } from "./bootstrap.ts";
import { type FilePort, FOLDER_MODE, PUBLIC_MODE, writeChanged } from "./files.ts";
import { updateNodeTrust } from "./node_trust.ts";
import {
  requestCertificate,
  type RequestCertificateOptions,
  type RequestOutcome,
  type RequestProgress,
} from "./request_certificate.ts";
import { createHolder } from "./keep_fresh.ts";
import { type Connect, readCa, readClientPair, readCluster } from "./transport/connect.ts";
import { omitUndefined } from "../core/lib/record.ts";

/** The web server, its folder, and the adapters. */
interface WebServerOptions {
  /** The name of the web server, as `parseWebName` returns it. */
  readonly name: string;
  /** Further names and addresses of the certificate. */
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** The absolute path of the folder with the certificate and the identity. */
  readonly folder: string;
  /** Finds the cluster and a token; called only when there is no identity, or it has expired. */
  readonly findCluster: FindBootstrapCluster;
  readonly key: KeyAlgorithm;
  readonly expirationSeconds?: number | undefined;
  /**
   * Renew when less of the lifetime is left. Default, also for a time that is not shorter than the lifetime: 30
   * percent.
   */
  readonly renewBeforeMs?: number | undefined;
  /** Whether to replace a certificate that is still valid. */
  readonly isForced: boolean;
  /** How long to wait for each certificate; with 0 a pending request is returned. */
  readonly timeoutSeconds: number;
  readonly connect: Connect;
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly onProgress?: ((event: RequestProgress) => void) | undefined;
}

/** The files of a web server, as absolute paths. */
interface WebServerPaths extends PairPaths {
  /** The CAs that browsers must trust. */
  readonly ca: string;
  /** The kubeconfig with the identity. */
  readonly identity: string;
}

/** The result of a run; every failure is an error instead. */
export type WebServerOutcome =
  | RequestOutcome & { readonly kind: "pending" }
  | {
    readonly kind: "kept" | "issued";
    readonly leaf: CertificateFacts;
    /** The time at which the next run is due. */
    readonly nextAt: Date;
  };

export function webServerPaths(folder: string, files: FilePort): WebServerPaths {
  return {
    ...openPairFolder(folder, files).paths,
    ca: join(folder, "ca.crt"),
    identity: join(folder, "identity.kubeconfig"),
  };
}

/**
 * Obtains or renews the identity and the certificate if they are due. AppError: those of `requestCertificate`;
 * `file_exists` when the folder has the identity of another name; `unauthorized` when the identity was revoked.
 */
export async function updateWebServer(options: WebServerOptions, signal: AbortSignal): Promise<WebServerOutcome> {
  const { files, folder } = options;
  const paths = webServerPaths(folder, files);
  await files.makeDirectory(folder, FOLDER_MODE);
  const identity = await readIdentity(paths.identity, options);
  const retirement = identity === undefined ? undefined : await updateTrust(paths.identity, options, signal);
  const outcome = await updateIdentity(paths.identity, identity, retirement, options, signal);
  if (outcome.kind === "pending") return outcome;
  const cluster = await readCluster(paths.identity, files);
  if (cluster.ca !== undefined) await writeChanged(paths.ca, await readCa(cluster.ca, files), PUBLIC_MODE, files);
  const served = await updateCertificate(cluster, retirement, options, signal);
  if (served.kind === "pending") return served;
  const { leaf } = served;
  const deadlines = [leaf, outcome.leaf].map((facts) => getRenewalTime(facts, options.renewBeforeMs).getTime());
  return { kind: served.kind, leaf, nextAt: new Date(Math.min(...deadlines)) };
}

/** Reads the certificate of the identity; undefined when there is none, or it has expired. */
async function readIdentity(
  path: string,
  { files, clock, name, onProgress }: WebServerOptions,
): Promise<CertificateFacts | undefined> {
  if (await files.stat(path) === undefined) return undefined;
  const { leaf } = await readClientPair(await readCluster(path, files), files);
  const { commonName } = leaf.subject;
  if (commonName !== `${WEB_USER_PREFIX}${name}`) {
    throw new AppError("file_exists", `cannot use "${path}": it is the identity of ${commonName}`, {
      hint: `choose another folder for ${name} with the setting out`,
    });
  }
  if (clock.now() <= leaf.notAfter) return leaf;
  onProgress?.({ kind: "needed", reason: `the identity expired at ${formatTime(leaf.notAfter)}` });
  return undefined;
}

/** Stores new CAs of the API, and returns those that are being replaced. */
async function updateTrust(
  kubeconfigPath: string,
  { name: nodeName, files, connect, clock, random, logger }: WebServerOptions,
  signal: AbortSignal,
): Promise<CaRetirement | undefined> {
  const retirement = createHolder<CaRetirement | undefined>(undefined);
  await updateNodeTrust({ kubeconfigPath, nodeName, files, connect, clock, random, logger, retirement }, signal);
  return retirement.current();
}

async function updateIdentity(
  path: string,
  identity: CertificateFacts | undefined,
  retirement: CaRetirement | undefined,
  options: WebServerOptions,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  const { name, files } = options;
  // The CAs may just have been replaced.
  const cluster = identity === undefined ? await options.findCluster(signal) : await readCluster(path, files);
  const userName = `${WEB_USER_PREFIX}${name}`;
  const { server, tlsServerName, proxy } = cluster;
  const entry = {
    server,
    ...omitUndefined({
      certificateAuthorityData: cluster.ca && await readCa(cluster.ca, files),
      tlsServerName,
      proxyUrl: proxy?.url.reveal(),
    }),
  };
  return await request(
    {
      target: createKubeconfigTarget({ path, clusterName: "tlsboot", cluster: entry, userName, files }),
      signerName: KUBE_APISERVER_CLIENT_SIGNER,
      subject: { commonName: userName, organizations: [WEB_GROUP] },
      names: { dnsNames: [name], ipAddresses: [], uris: [], emailAddresses: [] },
      key: "ecdsa-p256",
    },
    { cluster, replaced: identity === undefined ? EXPIRED : findReason(identity, retirement) },
    options,
    signal,
  );
}

const EXPIRED = "it can no longer be used";

/** Returns why a certificate is replaced early: its CA is being replaced. */
function findReason(leaf: CertificateFacts, retirement: CaRetirement | undefined): string | undefined {
  return isRetiring(leaf, retirement) ? "its CA is being replaced" : undefined;
}

async function updateCertificate(
  cluster: ResolvedCluster,
  retirement: CaRetirement | undefined,
  options: WebServerOptions,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  const { name, dnsNames, ipAddresses, folder, files, key, expirationSeconds, isForced } = options;
  const target = openPairFolder(folder, files);
  const existing = await target.existing();
  const retired = existing.kind === "usable" ? findReason(existing.leaf, retirement) : undefined;
  const allNames = [...new Set([name, ...dnsNames])];
  return await request(
    {
      target,
      signerName: WEB_SIGNER,
      subject: { commonName: name },
      names: { dnsNames: allNames, ipAddresses, uris: [], emailAddresses: [] },
      key,
      expirationSeconds,
    },
    { cluster, replaced: isForced ? "as requested" : retired },
    options,
    signal,
  );
}

/** Requests a certificate over a new connection, unless the existing one is sufficient and nothing replaces it. */
async function request(
  wanted: Pick<RequestCertificateOptions, "target" | "signerName" | "subject" | "names" | "key" | "expirationSeconds">,
  { cluster, replaced }: { readonly cluster: ResolvedCluster; readonly replaced: string | undefined },
  options: WebServerOptions,
  signal: AbortSignal,
): Promise<RequestOutcome> {
  const { connect, renewBeforeMs, timeoutSeconds, files, clock, random, logger, onProgress } = options;
  await using transport = await connect(cluster);
  try {
    return await requestCertificate({
      ...wanted,
      // Infinity exceeds any lifetime, which selects the default time and lets an unusable file be replaced.
      renewal: { isForced: replaced !== undefined, forcedBy: replaced, renewBeforeMs: renewBeforeMs ?? Infinity },
      timeoutSeconds,
      isPolling: true,
      transport,
      files,
      clock,
      random,
      logger,
      onProgress,
    }, signal);
  } catch (error) {
    // The next run makes a new request: this user cannot delete the one that was refused.
    if (isAppError(error, "csr_denied", "csr_failed")) {
      await files.unlink(wanted.target.pendingKeyPath);
      const hint = "correct the fault, here or at the server, and run the command again";
      throw new AppError(error.code, error.message, { cause: error, hint });
    }
    if (isAppError(error, "timeout")) {
      throw new AppError("timeout", error.message, { cause: error, hint: PENDING_HINT });
    }
    throw explainRefusal(error, cluster, options);
  }
}

const PENDING_HINT =
  "another machine may hold the name; at the server, tlsboot policy explain with the name of the request says why, " +
  "and tlsboot approve gives the name to this machine; then run the command again";

/** Adds the next step when the server refuses the credentials. */
function explainRefusal(
  error: unknown,
  { token }: ResolvedCluster,
  { folder, name, files }: WebServerOptions,
): unknown {
  if (!isAppError(error, "unauthorized", "access_denied")) return error;
  const { identity } = webServerPaths(folder, files);
  const isToken = token !== undefined;
  const what = isToken ? "the token is not accepted" : `the identity in "${identity}" is not accepted`;
  return new AppError(error.code, `cannot get the certificate of ${name}: ${what}: ${getErrorMessage(error)}`, {
    cause: error,
    hint: isToken
      ? "it is wrong, has expired, or is not for web servers; the file web.kubeconfig of the server's data directory " +
        "has a valid one: give the file with the setting join"
      : "it was revoked, or belongs to another server; to set this machine up anew, remove the file and give a token",
  });
}
