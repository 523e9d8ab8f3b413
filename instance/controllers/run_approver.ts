/** Runs the approver over a transport, with or without policies, and creates the settings of the approver of `up`. */
import { hostname } from "node:os";
import { createAccessReviewer } from "../../client/objects/access_reviews.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import {
  APPROVER_ACCOUNT,
  approverTokenRole,
  collectPolicyNeeds,
  EVENT_NAMESPACE,
  listApproverRoles,
} from "../../core/approval/approver_rbac.ts";
import { formatPublishedSettings, PUBLISHED_SETTINGS } from "../../core/approval/published.ts";
import { toTokenSecretName } from "../../core/token/token_secret.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import {
  clusterRoleKind,
  configMapKind,
  eventV1Kind,
  issuedCertificateKind,
  nodeKind,
  secretKind,
} from "../../core/kube/kinds/mod.ts";
import { getName, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import type { IssuedCertificate, RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type Lookup, type NameClaim, type ReportingNode, splitHosts } from "../../core/approval/evidence/ownership.ts";
import type { CsrStore, ObjectStore, Transport } from "../../core/ports.ts";
import {
  type ApproverDeps,
  createApprover,
  createCsrIndex,
  createNodeCertificates,
  createNodeWatch,
  createVerdictEvents,
  type NodeCertificatesOptions,
  runController,
} from "../../controllers/mod.ts";
import { backoffMs } from "../../controllers/engine/loop.ts";
import type { ControllerDeps } from "../deps.ts";
import type { ClusterRole } from "../../core/kube/kinds/rbac_v1.ts";
import type { Policy } from "../../core/approval/policy.ts";
import { type BootstrapObject, createRbacObject } from "../../server/bootstrap_objects.ts";
import { CERTIFICATE_CONTROLLER_ACCOUNT, controllerUser, exactRole, ROOT_USER } from "../instance_rbac.ts";
import { type FollowedPolicies, type LoadedPolicies, NO_POLICIES } from "./policy_files.ts";
import { NODE_USER_PREFIX, NODES_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { readRecordedNodeCertificate } from "../../core/approval/evidence/claims.ts";
import { formatRecordName } from "../../core/register/record.ts";
import type { Register, Server, Storage } from "../../server/mod.ts";
import { issuedCertificates, requestRecords, toStorageKey } from "../../server/registry/mod.ts";
import type { ServingNames } from "../../core/pki/authority/serving_certificate.ts";
import { bindRole, toAccountSubject } from "../../core/rbac/manifest.ts";
import { USER_AGENT } from "../../core/version.ts";
import type { EvidenceSources } from "../../core/approval/decide_from_sources.ts";

/** The settings of an approver, in addition to upstream's two kubelet client rules. */
interface ApproverSettings {
  /** The policies; when absent, only the two rules apply. */
  readonly policy?: {
    readonly settings: FollowedPolicies;
    readonly serverNames: EvidenceSources["serverNames"];
  } | undefined;
  /** How the limits of bootstrap tokens are enforced; when absent, they are not. */
  readonly tokens?: {
    /**
     * Whether the API server has already checked each request against its token, so that a request whose token no
     * longer exists is treated like any other. Otherwise the limits are unknown, and the request stays pending.
     */
    readonly isCheckedAtCreation: boolean;
    /** Reads a Secret of kube-system from the storage of the same process; by default it is read from the API. */
    readonly getSecret?: (name: string) => Promise<SecretObject | undefined>;
  };
  readonly isDryRun: boolean;
  readonly published: Pick<ObjectStore<ConfigMap>, "get" | "create" | "update">;
  /** The signers that run in the same process; undefined for an approver that runs alone. */
  readonly signers?: readonly string[];
  /** The holders of names, from the register of the same process; absent for an approver that runs alone. */
  readonly claims?: {
    list(names: readonly string[]): Promise<readonly NameClaim[]>;
    put(csr: CertificateSigningRequest): void;
    remove(name: string): void;
  };
  /** The records of kubelet client certificates at an API, or the register of the same process. */
  readonly register: Pick<NodeCertificatesOptions, "records" | "findRecorded">;
  /** Finds the address from which a request came, in the storage of the same process. */
  readonly findAddress?: ApproverDeps["findAddress"];
}

/** Runs the approver until the signal aborts. */
export async function runApprover(
  store: CsrStore,
  transport: Transport,
  settings: ApproverSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { policy: chosen, tokens, isDryRun } = settings;
  const { clock, random, logger, metrics, findRevoked } = deps;
  const current = (): LoadedPolicies => chosen?.settings.current() ?? NO_POLICIES;
  const reviewer = createAccessReviewer(transport, deps);
  const certificates = createNodeCertificates({ ...settings.register, clock, logger });
  const { claims } = settings;
  const index = createCsrIndex(store, {
    put(csr) {
      certificates.put(csr);
      claims?.put(csr);
    },
    remove(name) {
      certificates.remove(name);
      claims?.remove(name);
    },
  });
  const eventStore = createObjectStore<EventV1>(transport, eventV1Kind, { ...deps, namespace: EVENT_NAMESPACE });
  const events = createVerdictEvents({ store: eventStore, instance: hostname(), clock, random, logger });
  let changed = Promise.withResolvers<void>();
  const keepPublished = async (): Promise<void> => {
    while (!signal.aborted && !isDryRun) {
      changed = Promise.withResolvers();
      const data = formatPublishedSettings(current(), {
        signers: settings.signers,
        tokenLimits: tokens === undefined ? "none" : tokens.isCheckedAtCreation ? "at creation" : "by the approver",
      });
      await publishSettings(settings.published, data, deps, signal);
      await orAbort(changed.promise, signal).catch(() => {});
    }
  };
  const nodes = createNodeWatch({
    nodes: (onFailure) => createObjectStore<ReportingNode>(transport, nodeKind, { ...deps, onFailure }),
    isNeeded: () => collectPolicyNeeds(current().policies).nodes,
    clock,
  });
  const secrets = createObjectStore<SecretObject>(transport, secretKind, {
    ...deps,
    namespace: SYSTEM_NAMESPACE,
  });
  const approver = createApprover({
    store,
    onDecided: index.put,
    sources: {
      clock,
      reviewer,
      findRevoked,
      readToken: tokens === undefined ? undefined : createTokenReader(tokens, secrets),
      listApproved: index.listApproved,
      reported: () => collectPolicyNeeds(current().policies).nodes ? nodes.reported() : { kind: "none" },
      certificates: certificates.list,
      ...(claims === undefined ? {} : { claims: (names: readonly string[]) => lookUpClaims(claims, names) }),
      serverNames: chosen?.serverNames ?? (() => Promise.resolve({ dns: [], ips: [] })),
    },
    settings: {
      current,
      ...(chosen === undefined ? {} : {
        async *changes(until: AbortSignal) {
          for await (const change of chosen.settings.changes(until)) {
            changed.resolve();
            yield change;
          }
        },
      }),
    },
    ...(chosen === undefined ? {} : { nodes }),
    certificates,
    secrets,
    findAddress: settings.findAddress,
    events,
    logger,
    isDryRun,
    onHeld: (reason) => metrics?.requestHeld(reason),
  });
  await Promise.all([
    keepPublished(),
    runController({ name: "approver", store: index, ...approver, ...deps }, signal),
  ]);
}

function createTokenReader(
  { isCheckedAtCreation, getSecret }: NonNullable<ApproverSettings["tokens"]>,
  secrets: Pick<ObjectStore<SecretObject>, "get">,
): NonNullable<EvidenceSources["readToken"]> {
  return async (id, signal) => {
    const name = toTokenSecretName(id);
    const value = await (getSecret?.(name) ?? secrets.get(name, signal));
    if (value !== undefined) return { kind: "found", value };
    return { kind: isCheckedAtCreation ? "none" : "gone" };
  };
}

async function lookUpClaims(
  claims: NonNullable<ApproverSettings["claims"]>,
  names: readonly string[],
): Promise<Lookup<readonly NameClaim[]>> {
  try {
    return { kind: "found", value: await claims.list(names) };
  } catch (error) {
    return { kind: "failed", message: `the register cannot be read: ${getErrorMessage(error)}` };
  }
}

/** Creates the store of the ConfigMap in which an approver publishes its settings. */
export function createSettingsStore(transport: Transport, deps: ControllerDeps): ApproverSettings["published"] {
  return createObjectStore<ConfigMap>(transport, configMapKind, { ...deps, namespace: PUBLISHED_SETTINGS.namespace });
}

/** Finds kubelet client certificates in the register of an API, which the approver watches. */
export function watchRegister(transport: Transport, deps: ControllerDeps): ApproverSettings["register"] {
  const fieldSelector = `spec.signerName=${KUBE_APISERVER_CLIENT_KUBELET_SIGNER}`;
  return {
    records: (onFailure) =>
      createObjectStore<IssuedCertificate>(transport, issuedCertificateKind, { ...deps, fieldSelector, onFailure }),
  };
}

/**
 * Finds kubelet client certificates in the register of this process: the newest one of the node, and, of those whose
 * node is unknown, the one that is valid longest.
 */
export function searchRegister(
  { index }: Pick<Register, "index">,
  storage: Pick<Storage, "get">,
): ApproverSettings["register"] {
  const signerName = KUBE_APISERVER_CLIENT_KUBELET_SIGNER;
  return {
    records: undefined,
    async findRecorded(node) {
      const newest = index.findNewest({ signerName }, {
        username: `${NODE_USER_PREFIX}${node}`,
        groups: [NODES_GROUP],
      });
      const [unidentified] = [...index.listUnidentified()]
        .filter((entry) => entry.signerName === signerName && !entry.isRevoked)
        .sort((a, b) => b.until - a.until);
      const sequences = [newest?.isRevoked === true ? undefined : newest, unidentified]
        .flatMap((entry) => entry === undefined ? [] : [entry.sequence]);
      const stored = await Promise.all(
        sequences.map((sequence) => storage.get(toStorageKey(issuedCertificates, "", formatRecordName(sequence)))),
      );
      return stored.flatMap((record) => {
        // Every object under this prefix is an IssuedCertificate, because only the server writes there.
        const found = record && readRecordedNodeCertificate(record.object as IssuedCertificate);
        return found === undefined ? [] : [found];
      });
    },
  };
}

/** Finds the address that a request came from, as recorded by the server of this process. */
export function searchAddresses(storage: Pick<Storage, "get">): NonNullable<ApproverDeps["findAddress"]> {
  return async ({ metadata }) => {
    const stored = await storage.get(toStorageKey(requestRecords, "", getName({ metadata })));
    // Every object under this prefix is a RequestRecord, because only the server writes there.
    const { spec } = stored?.object as RequestRecord | undefined ?? {};
    return spec?.requestUID === metadata.uid ? spec?.address : undefined;
  };
}

/**
 * Writes the settings until that succeeds or is refused. The approver works without it, so a failure is only logged.
 */
async function publishSettings(
  store: ApproverSettings["published"],
  data: Readonly<Record<string, string>>,
  { clock, logger }: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace } = PUBLISHED_SETTINGS;
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const existing = await store.get(name, signal);
      if (existing === undefined) await store.create({ metadata: { name, namespace }, data }, signal);
      else if (JSON.stringify(existing.data ?? {}) !== JSON.stringify(data)) {
        await store.update({ ...existing, data }, signal);
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      const isRefused = isAppError(error, "access_denied", "invalid");
      const log = isRefused || failures === 0 ? logger.warn : logger.debug;
      log.call(logger, "the approver's policies cannot be published", {
        configMap: name,
        error: getErrorMessage(error),
      });
      if (isRefused) return;
      await clock.sleep(backoffMs(failures), signal).catch(() => {});
    }
  }
}

/**
 * Creates the role and the bindings of an approver with a policy, for the start of the server. Rights that no policy
 * needs anymore are removed.
 */
export function approverObjects(policies: readonly Policy[]): readonly BootstrapObject[] {
  const [clusterRole, ...roles] = listRoles(policies);
  const subject = toAccountSubject(APPROVER_ACCOUNT);
  return [
    exactRole(clusterRole.object),
    createRbacObject("clusterrolebindings", bindRole(clusterRole.object, subject)),
    ...roles.map(({ object }) => createRbacObject("roles", object)),
    ...roles.map(({ object }) => createRbacObject("rolebindings", bindRole(object, subject))),
  ];
}

/**
 * Creates the role and the binding by which the approver of `up` reads and binds tokens. Without a policy it is the
 * certificate controller, whose other rights are Kubernetes' own.
 */
export function tokenApproverObjects(hasPolicy: boolean): readonly BootstrapObject[] {
  const subject = toAccountSubject(hasPolicy ? APPROVER_ACCOUNT : CERTIFICATE_CONTROLLER_ACCOUNT);
  const { object: role } = approverTokenRole(false);
  return [createRbacObject("roles", role), createRbacObject("rolebindings", bindRole(role, subject))];
}

/** The approver of `up` with a policy: a separate service account, with the rights that the policy needs. */
export interface PolicyApproval {
  readonly user: UserInfo;
  readonly settings: Pick<ApproverSettings, "policy">;
}

/** Creates the settings of that approver. When a policy changes, the role's rights change with it. */
export function createPolicyApproval(
  instance: { readonly server: Pick<Server, "transportFor">; readonly names: ServingNames },
  policies: FollowedPolicies,
  deps: ControllerDeps,
): PolicyApproval {
  const root = instance.server.transportFor(ROOT_USER, `${USER_AGENT} up`);
  const roles = createObjectStore<ClusterRole>(root, clusterRoleKind, deps);
  const names = splitHosts([...instance.names.dnsNames, ...instance.names.ipAddresses]);
  return {
    user: controllerUser(APPROVER_ACCOUNT),
    settings: {
      policy: {
        serverNames: () => Promise.resolve(names),
        settings: {
          ...policies,
          async *changes(signal) {
            for await (const change of policies.changes(signal)) {
              await grant(roles, policies.current().policies, signal);
              yield change;
            }
          },
        },
      },
    },
  };
}

async function grant(
  roles: Pick<ReturnType<typeof createObjectStore<ClusterRole>>, "get" | "update">,
  policies: readonly Policy[],
  signal: AbortSignal,
): Promise<void> {
  const [{ object }] = listRoles(policies);
  const existing = await roles.get(object.metadata.name ?? "", signal);
  if (existing !== undefined) await roles.update({ ...existing, rules: object.rules }, signal);
}

function listRoles(policies: readonly Policy[]): ReturnType<typeof listApproverRoles> {
  return listApproverRoles({
    needs: collectPolicyNeeds(policies),
    dryRun: false,
    tokens: false,
    leaseNamespace: undefined,
  });
}
