/** The controllers, each over a store near or far, and all of them in the process of a server. */
import type { Secret } from "../../core/kube/core_v1.ts";
import type { Authority } from "../../core/pki/authority.ts";
import { findClientTrust } from "../../core/signing/client_trust.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../core/kube/certificates_v1.ts";
import type { ClusterRole } from "../../core/kube/rbac_v1.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { certificateSigningRequestKind, clusterRoleKind, secretKind } from "../../core/kube/kinds/mod.ts";
import type { Clock, CsrStore, Logger, ObjectStore, Random, Transport } from "../../core/ports.ts";
import { createObjectStore } from "../../client/object_store.ts";
import { createSharedChanges } from "../../client/shared_changes.ts";
import { runAggregation } from "../../server/controllers/aggregation.ts";
import { runCleaner } from "../../server/controllers/cleaner.ts";
import { runController } from "../../server/controllers/loop.ts";
import { followProfiles, type ProfileSource } from "../../server/controllers/profile_provider.ts";
import { createSigner } from "../../server/controllers/signer.ts";
import { createTokenCleaner } from "../../server/controllers/token_cleaner.ts";
import type { ControllerMetrics } from "../../server/metrics/controllers.ts";
import type { Server } from "../../server/server.ts";
import { USER_AGENT } from "../user_agent.ts";
import { type ClusterSettings, runClusterControllers } from "./cluster_controllers.ts";
import { CONTROLLER_MANAGER, controllerUser } from "./in_process_users.ts";
import { CUSTOM_SIGNER } from "./custom_signer.ts";
import { type ApproverSettings, runApprover, UPSTREAM_RULES } from "./run_approver.ts";

/** What every controller needs of the machine. */
export interface ControllerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How many names the signer and the approver take at once; as upstream when absent. */
  readonly workers?: number;
  /** Where their queues are watched, if they are. */
  readonly metrics?: ControllerMetrics;
}

/** What a signer signs with. */
export interface SigningSettings {
  /** The CA of a signer, looked up at each signature. */
  readonly authorities: (signerName: string) => Promise<Authority | undefined>;
  readonly signerNames: readonly string[];
  readonly signingDurationSeconds: number;
  /** Rules of signers that are not Kubernetes', by signer name. */
  readonly profiles?: ReadonlyMap<string, ProfileSource>;
  /** Whether the API takes certificates of a CA for clients; undefined when nobody knows. */
  readonly isTrustedForClients: (authority: Authority) => Promise<boolean | undefined>;
}

/** What runs in the process of a server. */
export interface InProcessSettings extends SigningSettings, ClusterSettings {
  /** A part that does not run; tests of the demo take one away. */
  readonly without: readonly ("approver" | "signer")[];
  /** Signers that are not Kubernetes', with rights of their own. */
  readonly customSigning?: SigningSettings;
  /** An approver with a policy, and as whom it works; without it the two kubelet client rules alone. */
  readonly approval?: { readonly user: UserInfo; readonly settings: ApproverSettings };
}

/** The signers that run in process: all built-in ones but `legacy-unknown`, which promises nothing. */
export const UP_SIGNERS: readonly string[] = [
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBELET_SERVING_SIGNER,
];

/**
 * The writes of a turn of the event loop share a commit, so what one wake-up finds is taken at once: a CSR costs half as
 * much as with upstream's five, and with more than this the loop would answer nobody for too long.
 */
const IN_PROCESS_WORKERS = 32;

const CERTIFICATE_CONTROLLER = controllerUser("certificate-controller");

/** Runs every controller in the process of a server until the signal aborts. */
export async function runInProcess(
  server: Pick<Server, "transportFor">,
  settings: InProcessSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { changes } = createSharedChanges(csrStoreOver(server.transportFor(CONTROLLER_MANAGER, USER_AGENT), deps));
  const storeOf = (transport: Transport): CsrStore => ({ ...csrStoreOver(transport, deps), changes });
  const store = storeOf(server.transportFor(CERTIFICATE_CONTROLLER, USER_AGENT));
  const { clock, logger } = deps;
  const secrets = secretStoreOver(server.transportFor(controllerUser("token-cleaner"), USER_AGENT), deps);
  const tokenCleaner = createTokenCleaner({ store: secrets, clock, logger });
  const { reconcile } = tokenCleaner;
  const roles = createObjectStore<ClusterRole>(
    server.transportFor(controllerUser("clusterrole-aggregation-controller"), USER_AGENT),
    clusterRoleKind,
    deps,
  );
  const running = [
    runAggregation({ store: roles, clock, logger: logger.with({ controller: "aggregation" }) }, signal),
    runCleaner({ store, clock, logger: logger.with({ controller: "cleaner" }) }, signal),
    runClusterControllers(server, settings, deps, signal),
    runController({ name: "token-cleaner", store: secrets, reconcile, ...deps }, signal),
  ];
  const many = { ...deps, workers: IN_PROCESS_WORKERS };
  if (!settings.without.includes("approver")) {
    const transport = server.transportFor(settings.approval?.user ?? CERTIFICATE_CONTROLLER, USER_AGENT);
    const rules = settings.approval?.settings ?? UPSTREAM_RULES;
    running.push(runApprover(storeOf(transport), transport, rules, many, signal));
  }
  if (!settings.without.includes("signer")) running.push(runSigner(store, settings, many, signal));
  if (settings.customSigning !== undefined) {
    const customStore = storeOf(server.transportFor(CUSTOM_SIGNER, USER_AGENT));
    running.push(runSigner(customStore, settings.customSigning, many, signal, "custom-signer"));
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
  const { authorities, signerNames, profiles, signingDurationSeconds, isTrustedForClients } = settings;
  const signer = createSigner({
    store,
    authorities,
    signerNames,
    signingDurationSeconds,
    isTrustedForClients,
    ...(profiles === undefined ? {} : { profiles }),
    ...deps,
  });
  await Promise.all([
    runController({ name, store, ...signer, ...deps }, signal),
    followProfiles([...profiles?.values() ?? []], deps.clock, signal),
  ]);
}

/** CSRs over a transport. */
export function csrStoreOver(transport: Transport, deps: ControllerDeps): CsrStore {
  return createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, deps);
}

/** Secrets of kube-system over a transport: where bootstrap tokens live. */
export function secretStoreOver(transport: Transport, deps: ControllerDeps): ObjectStore<Secret> {
  return createObjectStore<Secret>(transport, secretKind, { ...deps, namespace: "kube-system" });
}

/** Whether a server takes client certificates of an authority, as it is told at that moment. */
export function trustedBy(server: Pick<Server, "clientCas">): (authority: Authority) => Promise<boolean | undefined> {
  // Both are new values when their files change; between two changes nothing is verified again for each signature.
  let answers = new WeakMap<Authority, boolean | undefined>();
  let believed = server.clientCas();
  return (authority) => {
    const now = server.clientCas();
    if (now !== believed) answers = new WeakMap();
    believed = now;
    if (!answers.has(authority)) answers.set(authority, findClientTrust(authority, now));
    return Promise.resolve(answers.get(authority));
  };
}
