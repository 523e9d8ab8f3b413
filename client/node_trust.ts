/** Keeps the CAs in a node's kubeconfig in step with those that its cluster publishes, so that a CA can be replaced. */
import { dirname, join } from "node:path";
import { type CaRetirement, findCaRetirement, isSameRetirement } from "../core/machine/renewal_schedule.ts";
import { AppError, type ErrorCode, isAppError } from "../core/errors.ts";
import type { ClusterTrustBundle } from "../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../core/kube/kinds/constants.ts";
import { clusterTrustBundleKind } from "../core/kube/kinds/mod.ts";
import { type PemSource, replaceEmbeddedCa, type ResolvedCluster } from "../core/kube/kubeconfig/kubeconfig.ts";
import { shellWord } from "../core/lib/printable.ts";
import { parsePemBlocks } from "../core/pki/asn1/pem.ts";
import { decideTrust, type TrustDecision } from "../core/pki/x509/ca_bundle.ts";
import type { Clock, Logger, ObjectStore, Random, Transport } from "../core/ports.ts";
import { type FilePort, PUBLIC_MODE, SECRET_MODE } from "./files.ts";
import { type NodeClusterOptions, readNodeCluster } from "./node_kubeconfig.ts";
import { createObjectStore } from "./objects/object_store.ts";
import {
  followTrustBundles,
  getTrustBundlePem,
  reportTrust,
  type TrustBundleFollower,
  type TrustBundleOutcome,
} from "./objects/trust_bundles.ts";
import type { Holder } from "./keep_fresh.ts";
import { type Connect, readCa } from "./transport/connect.ts";
import { limitTime } from "./transport/time_limit.ts";
import { omitUndefined } from "../core/lib/record.ts";

/** The kubeconfig whose CAs are kept current, and the adapters. */
export interface NodeTrustOptions extends NodeClusterOptions {
  readonly connect: Connect;
  /** The name of the machine, usually a node; it determines when an early renewal is due. */
  readonly nodeName: string;
  /** Receives the CAs that are being replaced, for the certificate managers. */
  readonly retirement: Holder<CaRetirement | undefined>;
  /** Called after new CAs were stored. */
  readonly onStored?: (change: TrustChange) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A change of the CAs in a kubeconfig, which is stored already. */
export type TrustChange = TrustDecision & { readonly kind: "changed" } & {
  /** The file that was written: the kubeconfig, or the file of CAs that it names. */
  readonly path: string;
};

/** The bundles with the CAs of the API server. */
const SERVER_TRUST_SELECTORS = { fieldSelector: `spec.signerName=${KUBE_APISERVER_SERVING_SIGNER}` };

/** How long to wait before another attempt when the cluster has no bundles, or the node may not read them. */
const ABSENT_PAUSE_MS = 10 * 60_000;
const CHECK_TIMEOUT_MS = 30_000;

/**
 * Follows the bundles of the API server over connections that the current CAs verify. New CAs that also verify the
 * server are stored, used for every new connection, and reported to the cluster. A bundle that is missing, broken or
 * does not verify the server is logged and changes nothing. A cluster without bundles is not logged. Runs until the
 * signal fires, then rejects with its reason.
 */
export async function followNodeTrust(options: NodeTrustOptions, signal: AbortSignal): Promise<never> {
  const { logger } = options;
  const keeper = createTrustKeeper(options);
  return await followTrustBundles({
    ...options,
    // A failed watch is restarted, and the renewals report an unreachable server.
    logger: { ...logger, warn: (message, fields) => logger.debug(message, fields) },
    selectors: SERVER_TRUST_SELECTORS,
    connect: async () => await options.connect(await readNodeCluster(options)),
    onBundles: keeper.apply,
    onFailure(error, hasAnswered) {
      if (!hasAnswered && isWithoutBundles(error)) return ABSENT_PAUSE_MS;
      if (error.code === "unreachable") logger.debug("cannot read the trust bundle", { error: error.message });
      else keeper.logOnce("warn", "cannot keep the CAs of this machine current", error.message, error.hint);
      return undefined;
    },
  }, signal);
}

/**
 * Reads the bundles once and handles them like `followNodeTrust`. AppError `io`, `file_exists` and `kubeconfig_invalid`
 * when new CAs cannot be stored; other failures are logged, because the earlier CAs may still work.
 */
export async function updateNodeTrust(options: NodeTrustOptions, signal: AbortSignal): Promise<void> {
  const keeper = createTrustKeeper(options);
  try {
    for (let outcome: TrustBundleOutcome = "reconnect"; outcome === "reconnect";) {
      await using transport = await options.connect(await readNodeCluster(options));
      outcome = await keeper.apply(await createBundleStore(transport, options).list(signal), transport, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError) || NOT_STORED.includes(error.code)) throw error;
    if (!isWithoutBundles(error)) keeper.logOnce("warn", "cannot update the CAs of this machine", error.message);
  }
}

/** Reports whether a cluster does not serve bundles, or does not let this node read them. */
function isWithoutBundles({ code }: AppError): boolean {
  return code === "not_found" || code === "access_denied";
}

const NOT_STORED: readonly ErrorCode[] = ["io", "file_exists", "kubeconfig_invalid"];

/** Applies the bundles of a cluster to one kubeconfig, and records what was logged and reported. */
interface TrustKeeper {
  readonly apply: TrustBundleFollower["onBundles"];
  /** Logs a failure, unless it was the last one logged. */
  logOnce(level: "warn" | "error", message: string, error: string, fix?: string): void;
}

function createTrustKeeper(options: NodeTrustOptions): TrustKeeper {
  const { files, logger, clock, retirement } = options;
  let logged = "";
  let reported = "";
  const logOnce: TrustKeeper["logOnce"] = (level, message, error, fix) => {
    if (error !== logged) logger[level](message, { error, ...omitUndefined({ fix }) });
    logged = error;
  };
  return {
    logOnce,
    async apply(bundles, transport, signal) {
      const cluster = await readNodeCluster(options);
      // Without verification, anyone may have sent the bundles.
      if (cluster.insecureSkipTlsVerify) return "follow";
      noteRetirement(bundles, options);
      if (cluster.ca === undefined || bundles.length === 0) return "follow";
      const decision = await decideServerTrust({ ...cluster, ca: cluster.ca }, bundles, options, signal);
      if (decision.kind === "refused" || decision.kind === "unverified") {
        logOnce("error", "the cluster's trust bundle cannot be used, keeping the CAs as they are", decision.reason);
        // One of several servers may present its old certificate for a while after the others have new ones.
        return decision.kind === "unverified" ? "retry" : "follow";
      }
      if (decision.kind === "changed") {
        const path = await storeCa(options.kubeconfigPath, cluster.ca, decision.pem, files);
        logger.info("CAs replaced", { path, fingerprints: decision.fingerprints });
        options.onStored?.({ ...decision, path });
        return "reconnect";
      }
      // Report again after a new request to renew early, because a new rotation begins without reports.
      const report = [...decision.fingerprints, ...retirement.current()?.keyIds ?? []].join();
      if (report !== reported) await reportTrust(transport, decision.fingerprints, { clock }, signal);
      reported = report;
      logged = "";
      return "follow";
    },
  };
}

function noteRetirement(bundles: readonly ClusterTrustBundle[], { retirement, nodeName }: NodeTrustOptions): void {
  const found = findCaRetirement(bundles.map(({ metadata }) => metadata.annotations), nodeName);
  if (!isSameRetirement(found, retirement.current())) retirement.set(found);
}

/** The adapters for a decision about the CAs of a server. */
interface ServerTrustDeps {
  readonly files: FilePort;
  readonly connect: Connect;
  readonly clock: Clock;
}

/** A decision about the CAs of a server; `unverified` when those of the bundles do not verify it. */
type ServerTrustDecision = TrustDecision | { readonly kind: "unverified"; readonly reason: string };

/** Decides which CAs to trust for a server: those of the bundles, provided that they verify the server. */
async function decideServerTrust(
  cluster: ResolvedCluster & { readonly ca: PemSource },
  bundles: readonly ClusterTrustBundle[],
  deps: ServerTrustDeps,
  signal: AbortSignal,
): Promise<ServerTrustDecision> {
  const decision = decideTrust(await readCa(cluster.ca, deps.files), bundles.map(getTrustBundlePem));
  if (decision.kind !== "changed") return decision;
  const fault = await findServerFault({ ...cluster, ca: { kind: "pem", pem: decision.pem } }, deps, signal);
  return fault === undefined ? decision : { kind: "unverified", reason: fault };
}

/**
 * Reads the CAs that a cluster publishes for its API server, over a connection to it, as PEM; undefined when the CAs of
 * the connection remain in use: they are the same, the cluster publishes none, or they cannot be read or used.
 */
export async function readPublishedTrust(
  cluster: ResolvedCluster,
  transport: Transport,
  deps: ServerTrustDeps & { readonly random: Random; readonly logger: Logger },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { ca, insecureSkipTlsVerify } = cluster;
  if (ca === undefined || insecureSkipTlsVerify) return undefined;
  try {
    const bundles = await createBundleStore(transport, deps).list(signal);
    const decision = await decideServerTrust({ ...cluster, ca }, bundles, deps, signal);
    return decision.kind === "changed" ? decision.pem : undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    deps.logger.debug("cannot read the trust bundle", { error: error.message });
    return undefined;
  }
}

/** Creates a store of the bundles with the CAs of the API server. */
export function createBundleStore(
  transport: Transport,
  { clock, random, logger }: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): ObjectStore<ClusterTrustBundle> {
  return createObjectStore(transport, clusterTrustBundleKind, { ...SERVER_TRUST_SELECTORS, clock, random, logger });
}

/** Connects with other CAs, and returns why they do not verify the server; undefined when they do. */
async function findServerFault(
  cluster: ResolvedCluster,
  { connect, clock }: { readonly connect: Connect; readonly clock: Clock },
  signal: AbortSignal,
): Promise<string | undefined> {
  const tooLate = (): Error =>
    new AppError("timeout", "cannot check the new CAs: the server did not answer in time", { retryable: true });
  await using limit = limitTime(clock, CHECK_TIMEOUT_MS, tooLate, signal);
  await using transport = await connect(cluster);
  try {
    // Any answer will do, even a refusal, because the handshake has verified the server.
    const answer = await transport.send({ method: "GET", path: "/healthz", headers: {} }, limit.signal);
    for await (const _ of answer.body);
    return undefined;
  } catch (error) {
    if (isAppError(error, "tls_untrusted")) return `it does not verify the server: ${error.message}`;
    throw error;
  }
}

/** Writes CAs where a kubeconfig keeps them, and returns the path. AppError `file_exists`, `kubeconfig_invalid`, `io`. */
async function storeCa(kubeconfigPath: string, ca: PemSource, pem: string, files: FilePort): Promise<string> {
  if (ca.kind === "file") {
    const path = await files.realPath(ca.path) ?? ca.path;
    await checkBundleFile(path, files);
    await files.writeAtomic(path, pem, await readMode(path, PUBLIC_MODE, files));
    return path;
  }
  const path = await files.realPath(kubeconfigPath) ?? kubeconfigPath;
  const text = replaceEmbeddedCa(await files.readText(path) ?? "", path, { from: ca.pem, to: pem });
  if (!text.ok) {
    throw new AppError("kubeconfig_invalid", text.error, {
      hint: "move the CA into a file, and name it as certificate-authority in the kubeconfig",
    });
  }
  await files.writeAtomic(path, text.value, await readMode(path, SECRET_MODE, files));
  return path;
}

async function readMode(path: string, missing: number, files: FilePort): Promise<number> {
  return (await files.stat(path))?.mode ?? missing;
}

/**
 * Throws AppError `file_exists` when a file must not be replaced by a bundle: it holds more than certificates, which
 * would be lost, or it is the certificate of a CA whose key is next to it.
 */
export async function checkBundleFile(path: string, files: Pick<FilePort, "readText" | "stat">): Promise<void> {
  const stored = await files.readText(path);
  if (stored === undefined || stored.trim() === "") return;
  const blocks = parsePemBlocks(stored);
  if (blocks.length === 0 || blocks.some(({ label }) => label !== "CERTIFICATE")) {
    throw new AppError(
      "file_exists",
      `cannot write the bundle to "${path}": the file does not contain only certificates`,
      { hint: "choose another path, or delete the file if nothing needs it" },
    );
  }
  const keyPath = path.replace(/\.(crt|pem|cer)$/, "") + ".key";
  if (await files.stat(keyPath) === undefined) return;
  throw new AppError("file_exists", `cannot write the bundle to "${path}": it is the certificate of "${keyPath}"`, {
    hint: "copy it, and name the copy in the kubeconfig: " +
      `cp ${shellWord(path)} ${shellWord(join(dirname(path), "trust.crt"))}`,
  });
}
