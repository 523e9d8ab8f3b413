/** One node of the storm: it bootstraps, renews a few times, and starts over as another node. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type ApiClient, createApiClient } from "../../client/objects/api.ts";
import { bootstrap, CLIENT_STORE_PREFIX, createKubeconfigFinder } from "../../client/bootstrap.ts";
import { createFixedSource } from "../../client/keep_fresh.ts";
import type { MachineOptions } from "../../client/keep_machine_fresh.ts";
import { createCertificateRequester, runCertificateManager } from "../../client/certificate_manager.ts";
import type { Connect } from "../../client/transport/connect.ts";
import type { TlsTransport } from "../../client/transport/tls_transport.ts";
import { openCredentialStore } from "../../client/certificate/credential_store.ts";
import { createFilePort, type FilePort } from "../../client/files.ts";
import { connectAsNode } from "../../client/node_kubeconfig.ts";
import { getKubeletUsages, type NodeName, parseNodeName, toNodeSubject } from "../../core/machine/node_name.ts";
import type { CredentialPair } from "../../core/machine/credential_pair.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import { type CertificateFacts, verifyCertificateSignature } from "../../core/pki/x509/certificate.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { isTransient } from "./watcher.ts";

export interface NodeOptions {
  readonly name: string;
  /** The folder in which it creates its files. */
  readonly folder: string;
  readonly bootstrapKubeconfig: string;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Whether clocks are set during the storm. Then a node whose certificate is not valid yet starts over as another node
   * instead of waiting for an hour.
   */
  readonly areClocksSet: boolean;
  readonly onFault: (fault: string) => void;
  /** Called for each pair that the node has written to its disk. */
  readonly onStored: (certificatePem: string) => void;
}

interface StormNode {
  /** Resolves once the node has settled with a fresh pair, or when the signal fires. */
  readonly running: Promise<void>;
  /** Makes the next pair the last one. */
  settle(): void;
  /** Returns the fault of the node's last pair, or undefined if there is none. */
  findFault(ca: CertificateFacts, signal: AbortSignal): Promise<string | undefined>;
}

/** Long enough for a renewal at nine tenths of it on a clock that was set forward twice. */
const EXPIRATION_SECONDS = 48 * 3_600;
const MAX_RENEWALS = 4;
const RETRY_PAUSE_MS = 300;
/** The longest wait for a renewal; the clock skips the rest. */
const RENEWAL_PAUSE_MS = 1_500;
/** The factor by which pauses between attempts are shortened. */
const SPEEDUP = 20;
/** Only pauses in this range are shortened; shorter and longer ones are time limits. */
const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_001, 60_000];
/** The error of a server that cannot reach etcd. */
const WITHOUT_ETCD = /cannot (?:read|write) etcd/;

export function startNode(options: NodeOptions, signal: AbortSignal): StormNode {
  const { random, clock, onFault } = options;
  const files = createFilePort();
  let isSettling = false;
  let life = beginLife(options, 0, files);

  async function run(): Promise<void> {
    for (let number = 1; !signal.aborted; number++) {
      const renewals = Math.floor(random.float() * MAX_RENEWALS);
      const isDone = await untilDone(() => life.bootstrap(signal)) &&
        await untilDone(() => life.renew((done) => isSettling ? done >= 1 : done >= renewals, signal));
      if ((isSettling && isDone) || signal.aborted) return;
      await rm(life.folder, { recursive: true, force: true });
      life = beginLife(options, number, files);
    }
  }

  /** Repeats a step while the server is down; returns false if the node must start over. */
  async function untilDone(step: () => Promise<void>): Promise<boolean> {
    while (!signal.aborted) {
      try {
        await step();
        return true;
      } catch (error) {
        if (signal.aborted || (options.areClocksSet && isSkewed(error))) return false;
        if (!isTransient(error)) onFault(`node ${life.nodeName}: ${getErrorMessage(error)}`);
        await clock.sleep(random.float() * RETRY_PAUSE_MS, signal).catch(() => {});
      }
    }
    return false;
  }

  return {
    running: run(),
    settle: () => void (isSettling = true),
    findFault: (ca, end) => life.findFault(ca, end),
  };
}

/** A node with one name, from its first request until it starts over. */
export interface Life {
  readonly nodeName: NodeName;
  readonly folder: string;
  bootstrap(signal: AbortSignal): Promise<void>;
  /** Renews until the number of renewals is enough. */
  renew(isEnough: (done: number) => boolean, signal: AbortSignal): Promise<void>;
  /** Returns the certificate on the node's disk. Throws an Error if there is none. */
  getLeaf(): Promise<CertificateFacts>;
  /** Connects with the pair on the node's disk. */
  open(): Promise<TlsTransport>;
  findFault(ca: CertificateFacts, signal: AbortSignal): Promise<string | undefined>;
}

export function beginLife(options: NodeOptions, number: number, files: FilePort): Life {
  const { random, connect, onStored, onFault } = options;
  const parsed = parseNodeName(`${options.name}-${number}`);
  if (!parsed.ok) throw new Error(parsed.error);
  const nodeName = parsed.value;
  const folder = join(options.folder, nodeName);
  const kubeconfigPath = join(folder, "kubeconfig");
  const certDir = join(folder, "pki");
  const clock = createSkippingClock(options.clock, random);
  const skewed = new AbortController();
  const logger = createFaultLogger((code, message) => {
    const error = new AppError(code as AppError["code"], `node ${nodeName}: ${code}: ${message}`);
    if (options.areClocksSet && isSkewed(error)) skewed.abort(error);
    else if (!options.areClocksSet || !COMPACTED.test(message)) onFault(error.message);
  });
  const findCluster = createKubeconfigFinder(options.bootstrapKubeconfig, files);
  const machine = {
    ...{ findCluster, kubeconfigPath, certDir, nodeName, files, clock, random, logger, connect },
    expirationSeconds: EXPIRATION_SECONDS,
  };
  const openStore = () => openCredentialStore({ ...machine, prefix: CLIENT_STORE_PREFIX });

  return {
    nodeName,
    folder,
    async bootstrap(signal) {
      const outcome = await bootstrap(machine, signal);
      onStored(outcome.pair.certificatePem);
    },
    async renew(isEnough, signal) {
      const enough = new AbortController();
      let done = 0;
      if (isEnough(done)) return;
      const onRenewed = (pair: CredentialPair): void => {
        clock.reset();
        onStored(pair.certificatePem);
        if (isEnough(++done)) enough.abort();
      };
      const stop = AbortSignal.any([signal, enough.signal, skewed.signal]);
      await renewAsKubelet(machine, onRenewed, stop).catch((error: unknown) => {
        if (!enough.signal.aborted) throw error;
      });
    },
    async getLeaf() {
      const pair = await (await openStore()).current();
      if (pair === undefined) throw new Error(`node ${nodeName} has no pair`);
      return pair.leaf;
    },
    open: async () => await connectAsNode({ kubeconfigPath, store: await openStore(), files, connect }),
    async findFault(ca, signal) {
      const store = await openStore();
      const pair = await store.current();
      if (pair === undefined) return `node ${nodeName} has no pair`;
      if (!verifyCertificateSignature(pair.leaf, ca)) return `node ${nodeName}: the CA has not signed its certificate`;
      await using transport = await connectAsNode({ kubeconfigPath, store, files, connect });
      const username = await requestUsername(createApiClient(transport, options), signal);
      return username === `system:node:${nodeName}` ? undefined : `node ${nodeName} is known as ${username}`;
    },
  };
}

/** Renews the client certificate of a node as a kubelet does, until the signal fires. */
export async function renewAsKubelet(
  options: MachineOptions,
  onRenewed: (pair: CredentialPair) => void,
  signal: AbortSignal,
): Promise<never> {
  const store = await openCredentialStore({ ...options, prefix: CLIENT_STORE_PREFIX });
  return await runCertificateManager({
    ...options,
    purpose: "client",
    store,
    template: createFixedSource({ ...toNodeSubject(options.nodeName), dnsNames: [], ipAddresses: [] }),
    requestCertificate: createCertificateRequester({
      ...options,
      signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
      usages: (algorithm) => getKubeletUsages("renewal", algorithm),
      connect: async (credentials, stop) =>
        credentials === "current"
          ? await connectAsNode({ ...options, store })
          : await options.connect(await options.findCluster(stop)),
    }),
    onRenewed,
  }, signal);
}

/** A clock that skips most of the time until a renewal. */
interface SkippingClock extends Clock {
  /** Sets the clock right again, after a renewal. */
  reset(): void;
}

function createSkippingClock(clock: Clock, random: Random): SkippingClock {
  let aheadMs = 0;
  const now = (): Date => new Date(clock.now().getTime() + aheadMs);
  return {
    now,
    async sleepUntil(deadline, signal) {
      await clock.sleep(RENEWAL_PAUSE_MS * random.float(), signal);
      aheadMs = Math.max(aheadMs, deadline.getTime() - clock.now().getTime());
    },
    elapsedMs: () => clock.elapsedMs(),
    sleep: (ms, signal) => clock.sleep(ms >= SHORTEST_PAUSE_MS && ms <= LONGEST_PAUSE_MS ? ms / SPEEDUP : ms, signal),
    reset: () => void (aheadMs = 0),
  };
}

/** Reports whether a certificate is not valid by the clock of the node or of a server. */
export function isSkewed(error: unknown): boolean {
  return isAppError(error, "clock_skew", "unauthorized");
}

/** Asks the server for the username of the client. Throws a StatusError 401 if the credential is refused. */
export async function requestUsername(api: ApiClient, signal: AbortSignal): Promise<string | undefined> {
  const review = await api.requestJson({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
  }, signal) as { readonly status?: { readonly userInfo?: { readonly username?: string } } };
  return review.status?.userInfo?.username;
}

/** The refusal of a watch whose history is gone. A server whose clock is set forward drops its history. */
const COMPACTED = /too old resource version/;

/** Collects the failures of the certificate manager, which reports them only to the log. */
function createFaultLogger(onFault: (code: string, message: string) => void): Logger {
  const logger: Logger = {
    debug() {},
    info() {},
    warn(_message, fields = {}) {
      const { code, error } = fields;
      const isAway = code === undefined || isTransient(new AppError(code as AppError["code"], "")) ||
        WITHOUT_ETCD.test(String(error));
      if (!isAway) onFault(String(code), String(error));
    },
    error() {},
    with: () => logger,
  };
  return logger;
}
