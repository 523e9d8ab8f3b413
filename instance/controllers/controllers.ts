/** Runs single controllers over a local or remote store, or all of them in the process of a server. */
import { hostname } from "node:os";
import { SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import type { Event, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import type {
  CertificateSigningRequest,
  ClusterTrustBundle,
  PodCertificateRequest,
} from "../../core/kube/kinds/certificates_v1.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../core/kube/kinds/constants.ts";
import {
  certificateSigningRequestKind,
  clusterTrustBundleKind,
  leaseKind,
  podCertificateRequestKind,
  secretKind,
} from "../../core/kube/kinds/mod.ts";
import type { CsrStore, ObjectStore, Transport } from "../../core/ports.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { type NotifierOptions, runNotifier } from "../../controllers/upkeep/notifier.ts";
import {
  type CleanerOptions,
  createPodSigner,
  createSigner,
  createTokenCleaner,
  type LeaderElectionOptions,
  type PodSignerDeps,
  type RecordIssued,
  runCleaner,
  runController,
  runWhileLeading,
} from "../../controllers/mod.ts";
import {
  type FileProfileSource,
  followProfiles,
  type ProfileSource,
} from "../../controllers/signer/profile_provider.ts";
import { NameClaims } from "../../server/register/name_claims.ts";
import type { Register, Server } from "../../server/mod.ts";
import { certificateSigningRequests, events, findLimitedToken, toKeyPrefix } from "../../server/registry/mod.ts";
import { type ClusterSettings, runClusterControllers } from "./cluster_controllers.ts";
import { CERTIFICATE_CONTROLLER_ACCOUNT, controllerUser, CUSTOM_SIGNER, ROOT_USER } from "../instance_rbac.ts";
import type { ControllerDeps } from "../deps.ts";
import { USER_AGENT } from "../../core/version.ts";
import type { FindRevokedRequest } from "../../core/approval/decide_from_sources.ts";
import {
  createSettingsStore,
  type PolicyApproval,
  runApprover,
  searchAddresses,
  searchRegister,
} from "./run_approver.ts";
import { findClientTrust } from "../../core/signing/profile.ts";
import { createStoredChanges } from "../../server/storage/follow.ts";
import { AppError } from "../../core/errors.ts";
import { runTrustBundlePublisher } from "../../controllers/upkeep/trust_bundle_publisher.ts";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import type { Lease } from "../../core/kube/kinds/nodes.ts";
import { encodeHex } from "../../core/lib/encodings.ts";

/** The CAs and rules of a signer. */
export interface SigningSettings {
  /** Returns the CA of a signer; called for each signature. */
  readonly authorities: (signerName: string) => Promise<Authority | undefined>;
  readonly signerNames: readonly string[];
  readonly signingDurationSeconds: number;
  /** Whether to sign requests for ML-DSA keys. */
  readonly allowMlDsa?: boolean;
  /** The rules of custom signers, by signer name. */
  readonly profiles?: ReadonlyMap<string, ProfileSource>;
  /** Records each certificate before it is written to its request, for an API without a register. */
  readonly record?: RecordIssued | undefined;
  /** Reports whether the API accepts client certificates of a CA; undefined if unknown. */
  readonly isTrustedForClients: (authority: Authority) => Promise<boolean | undefined>;
}

/** The settings of the controllers in the process of a server. */
export interface InProcessSettings extends SigningSettings, ClusterSettings {
  /** The controllers that do not run; tests of the demo omit one. */
  readonly without: readonly ("approver" | "signer")[];
  /** The register of the server, which knows the certificates of nodes. */
  readonly register: Pick<Register, "index">;
  /** How long requests are kept, and how often that is checked; as upstream by default. */
  readonly cleaning?: Required<Pick<CleanerOptions, "times" | "intervalMs">>;
  /** Custom signers, with separate rights. */
  readonly customSigning?: SigningSettings | undefined;
  /** An approver with a policy, and its user. When absent, only the two kubelet client rules apply. */
  readonly approval?: PolicyApproval | undefined;
  /** The sender of notifications; absent when they are off. */
  readonly notifications?: Pick<NotifierOptions, "sender" | "server" | "findEnding"> | undefined;
}

/** The signers that run in process: all built-in ones except `legacy-unknown`, which guarantees nothing. */
export const UP_SIGNERS: readonly string[] = [
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBELET_SERVING_SIGNER,
];

/**
 * The writes of one turn of the event loop share a commit, so many names are processed at once. With 32 workers a CSR
 * costs half as much as with the five of upstream; more would block the event loop for too long.
 */
const IN_PROCESS_WORKERS = 32;

const CERTIFICATE_CONTROLLER = controllerUser(CERTIFICATE_CONTROLLER_ACCOUNT);

/** Runs every controller in the process of a server until the signal aborts. */
export async function runInProcess(
  server: Pick<Server, "transportFor" | "revocations">,
  settings: InProcessSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { changes } = createStoredChanges<CertificateSigningRequest>(
    settings.storage,
    toKeyPrefix(certificateSigningRequests, ""),
  );
  const createStore = (transport: Transport): CsrStore => ({ ...createCsrStore(transport, deps), changes });
  const store = createStore(server.transportFor(CERTIFICATE_CONTROLLER, USER_AGENT));
  const { clock, logger } = deps;
  const secrets = createSecretStore(server.transportFor(controllerUser("token-cleaner"), USER_AGENT), deps);
  const { reconcile } = createTokenCleaner({ store: secrets, clock, logger });
  const running = [
    runCleaner({ ...settings.cleaning, store, clock, logger: logger.with({ controller: "cleaner" }) }, signal),
    runClusterControllers(server, settings, deps, signal),
    runController({ name: "token-cleaner", store: secrets, reconcile, ...deps }, signal),
  ];
  const { revocations } = server;
  const findRevoked: FindRevokedRequest = (csr) => revocations.findForRequest(csr);
  const parallel = { ...deps, workers: IN_PROCESS_WORKERS, findRevoked };
  using claims = new NameClaims(settings.storage, clock);
  if (!settings.without.includes("approver")) {
    const transport = server.transportFor(settings.approval?.user ?? CERTIFICATE_CONTROLLER, USER_AGENT);
    // The composition root publishes the settings, so the approver needs no right to do so.
    const root = server.transportFor(ROOT_USER, USER_AGENT);
    const approver = {
      ...settings.approval?.settings,
      tokens: {
        isCheckedAtCreation: true,
        getSecret: async (name: string) => (await findLimitedToken(settings.storage, name))?.object,
      },
      signers: [...settings.signerNames, ...settings.customSigning?.signerNames ?? []],
      isDryRun: false,
      published: createSettingsStore(root, deps),
      register: searchRegister(settings.register, settings.storage),
      findAddress: searchAddresses(settings.storage),
      claims,
    };
    running.push(runApprover(createStore(transport), transport, approver, parallel, signal));
  }
  if (!settings.without.includes("signer")) running.push(runSigner(store, settings, parallel, signal));
  if (settings.customSigning !== undefined) {
    const customStore = createStore(server.transportFor(CUSTOM_SIGNER, USER_AGENT));
    running.push(runSigner(customStore, settings.customSigning, parallel, signal, "custom-signer"));
  }
  if (settings.notifications !== undefined) {
    const onResult: NotifierOptions["onResult"] = (result) => deps.metrics?.notified(result);
    const stored = {
      requests: { changes },
      events: createStoredChanges<Event>(settings.storage, toKeyPrefix(events, "")),
    };
    running.push(runNotifier({ ...settings.notifications, ...stored, clock, logger, onResult }, signal));
  }
  await Promise.all(running);
}

/** Runs the signer until the signal aborts. */
export async function runSigner(
  store: CsrStore,
  settings: SigningSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
  name = "signer",
): Promise<void> {
  const signer = createSigner({ ...settings, store, ...deps });
  await Promise.all([
    runController({ name, store, ...signer, ...deps }, signal),
    followProfiles([...settings.profiles?.values() ?? []], deps.clock, signal),
  ]);
}

/** Creates a store of CSRs over a transport. */
export function createCsrStore(transport: Transport, deps: ControllerDeps): CsrStore {
  return createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, deps);
}

/** Creates a store of the Secrets in kube-system, which holds bootstrap tokens, over a transport. */
export function createSecretStore(transport: Transport, deps: ControllerDeps): ObjectStore<SecretObject> {
  return createObjectStore<SecretObject>(transport, secretKind, { ...deps, namespace: SYSTEM_NAMESPACE });
}

/** Creates a lookup that reports whether a server accepts client certificates of a CA at that moment. */
export function createTrustLookup(
  server: Pick<Server, "clientCas">,
): (authority: Authority) => Promise<boolean | undefined> {
  // The server returns a new list when its CAs change, so the results are cached until then.
  let answers = new WeakMap<Authority, boolean | undefined>();
  let trusted = server.clientCas();
  return (authority) => {
    const now = server.clientCas();
    if (now !== trusted) answers = new WeakMap();
    trusted = now;
    if (!answers.has(authority)) answers.set(authority, findClientTrust(authority, now));
    return Promise.resolve(answers.get(authority));
  };
}

/** The CAs and profiles of the signer. */
interface PodSigningSettings
  extends
    Pick<PodSignerDeps, "allowMlDsa" | "authorities" | "isTrustedForClients" | "record" | "signingDurationSeconds"> {
  readonly profiles: ReadonlyMap<string, FileProfileSource>;
}

/**
 * Runs the signer of pod certificates until the signal aborts: one controller for all its signers, and for each a publisher
 * of its CAs.
 */
export async function runPodSigner(
  transport: Transport,
  settings: PodSigningSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { profiles, authorities } = settings;
  const signerNames = [...profiles.keys()];
  // A single signer needs only its own requests; the API can select only one name.
  const [only, ...more] = signerNames;
  const selector = only === undefined || more.length > 0 ? {} : { fieldSelector: `spec.signerName=${only}` };
  const store = createObjectStore<PodCertificateRequest>(transport, podCertificateRequestKind, {
    ...deps,
    ...selector,
  });
  const signer = createPodSigner({ ...settings, store, ...deps });
  await Promise.all([
    runController({ name: "pod-signer", store, ...signer, ...deps }, signal),
    followProfiles([...profiles.values()], deps.clock, signal),
    ...[...profiles].map(([signerName, profile]) => {
      const fieldSelector = `spec.signerName=${signerName}`;
      const bundles = createObjectStore<ClusterTrustBundle>(transport, clusterTrustBundleKind, {
        ...deps,
        fieldSelector,
      });
      const content = async () => {
        const authority = await authorities(signerName);
        if (authority === undefined) throw new AppError("internal", `no CA for signer "${signerName}"`);
        return { trustBundle: encodeTrust(authority) };
      };
      // As long as a pod may have a certificate of an earlier CA.
      const keepMs = async () => (await profile.currentSpec()).lifetime.maxMs;
      return runTrustBundlePublisher({ store: bundles, signerName, content, keepMs, ...deps }, signal);
    }),
  ]);
}

/** The Lease of an election; its times default to kube-controller-manager's. */
export type Election = Pick<
  LeaderElectionOptions,
  "namespace" | "leaseName" | "leaseDurationMs" | "renewDeadlineMs" | "retryPeriodMs"
>;

/** The election of servers that share a store: another server takes over within 15 seconds after the leader stopped. */
export const SHARED_STORE_ELECTION: Election = {
  namespace: SYSTEM_NAMESPACE,
  leaseName: "tlsboot-controllers",
  leaseDurationMs: 10_000,
  renewDeadlineMs: 7_000,
  retryPeriodMs: 1_500,
};

/**
 * Runs the work while this process leads, until the signal aborts: one of several replicas that work on a remote cluster, or
 * of several servers that share a store.
 */
export async function runElected(
  transport: Transport,
  election: Election,
  deps: ControllerDeps,
  work: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const store = createObjectStore<Lease>(transport, leaseKind, { ...deps, namespace: election.namespace });
  const identity = `${hostname()}_${encodeHex(deps.random.bytes(8))}`;
  await runWhileLeading({ ...deps, ...election, store, identity }, work, signal);
}
