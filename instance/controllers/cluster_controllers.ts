/**
 * Runs the other controllers of kube-controller-manager: namespaces, service accounts, the CA bundle of each namespace,
 * the trust bundle of the API server, the signatures of `cluster-info`, requests for pods, aggregated cluster roles,
 * and garbage collection. As upstream, each writes as its own service account, and shared watches use
 * kube-controller-manager's user.
 */
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE } from "../../core/token/cluster_info.ts";
import { BOOTSTRAP_TOKEN_TYPE } from "../../core/token/token_secret.ts";
import type { ClusterTrustBundle, PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { ConfigMap, Namespace, SecretObject, ServiceAccount } from "../../core/kube/kinds/core_v1.ts";
import type { Lease } from "../../core/kube/kinds/nodes.ts";
import {
  clusterRoleKind,
  clusterTrustBundleKind,
  configMapKind,
  leaseKind,
  namespaceKind,
  podCertificateRequestKind,
  secretKind,
  serviceAccountKind,
} from "../../core/kube/kinds/mod.ts";
import type { ClusterRole } from "../../core/kube/kinds/rbac_v1.ts";
import { getName, type KubeObject, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { planAggregation } from "../../core/rbac/reconcile.ts";
import { isAppError } from "../../core/errors.ts";
import { formatCollectionPath, type Kind } from "../../core/kube/schema.ts";
import { ROOT_CA_NAME } from "../../core/kube/rules/namespaces.ts";
import type { TrustBundleContent } from "../../core/signing/cluster_trust_bundle.ts";
import { createObjectStore, type ObjectStoreOptions } from "../../client/objects/object_store.ts";
import { type ControllerManager, createControllerManager } from "../../controllers/engine/leader_election.ts";
import { createGarbageCollector } from "../../controllers/upkeep/garbage_collector.ts";
import {
  createManualTrigger,
  DONE,
  type Reconciler,
  runController,
  type Trigger,
} from "../../controllers/engine/loop.ts";
import {
  createNamespaceController,
  createRootCaPublisher,
  createServiceAccountController,
  DEFAULT_SERVICE_ACCOUNT,
  type NamespaceContent,
} from "../../controllers/upkeep/namespaces.ts";
import { runTrustBundlePublisher } from "../../controllers/upkeep/trust_bundle_publisher.ts";
import type { StoreContents } from "../../server/storage/etcd/contents.ts";
import { followResource } from "../../server/storage/follow.ts";
import type { ControllerDeps } from "../deps.ts";
import { CONTROLLER_MANAGER, controllerUser } from "../instance_rbac.ts";
import type { Logger, ObjectStore, Transport } from "../../core/ports.ts";
import { createApiClient, listAll } from "../../client/objects/api.ts";
import { USER_AGENT } from "../../core/version.ts";
import { runPodRequestCleaner } from "../../controllers/mod.ts";
import { STORED_RESOURCES, toKeyPrefix } from "../../server/registry/mod.ts";
import type { Server, Storage } from "../../server/mod.ts";
import { createBootstrapSigner } from "../../controllers/upkeep/bootstrap_tokens.ts";

/** The settings of these controllers. */
export interface ClusterSettings {
  /** The CAs that clients trust for the API server, which are published in every namespace and as a trust bundle. */
  readonly trust: PublishedTrust;
  /** The storage of the server, which the garbage collector follows. */
  readonly storage: Storage;
  /** All objects of a storage that is shared with other API servers; undefined if it is not shared. */
  readonly contents?: StoreContents | undefined;
}

/** The CAs that clients trust for the API server, as they change. */
interface PublishedTrust {
  /** Returns the current CAs as PEM, and the annotations of their trust bundle. */
  content(): TrustBundleContent;
  /** Calls the listener after each change, until the result is disposed. */
  onChange(listener: () => void): Disposable;
}

/** Runs the controllers until the signal aborts. */
export async function runClusterControllers(
  server: Pick<Server, "transportFor">,
  settings: ClusterSettings,
  deps: ControllerDeps,
  signal: AbortSignal,
): Promise<void> {
  const shared = createStores(server.transportFor(CONTROLLER_MANAGER, USER_AGENT), deps);
  const transportOf = (account: string) => server.transportFor(controllerUser(account), USER_AGENT);
  const controllerManager = createControllerManager(
    shared<Lease>(leaseKind, { namespace: SYSTEM_NAMESPACE }),
    deps.clock,
  );
  const context: ClusterContext = {
    ...settings,
    shared,
    transportOf,
    own: (account) => createStores(transportOf(account), deps),
    deps: { ...deps, controllerManager },
    signal,
  };
  await Promise.all([
    runNamespaceController(context),
    runServiceAccountController(context),
    runRootCaPublisher(context),
    runServingBundlePublisher(context),
    runBootstrapSigner(context),
    runGarbageCollector(context),
    cleanPodRequests(context),
    runAggregation(context),
  ]);
}

/** The settings, stores and ports that these controllers share. */
interface ClusterContext extends ClusterSettings {
  /** The stores of the user of kube-controller-manager, for watches. */
  readonly shared: Stores;
  /** Creates the transport of the service account of a controller. */
  transportOf(account: string): Transport;
  /** Creates the stores of the service account of a controller. */
  own(account: string): Stores;
  readonly deps: ControllerDeps & { readonly controllerManager: ControllerManager };
  readonly signal: AbortSignal;
}

function runNamespaceController({ transportOf, contents, deps, signal }: ClusterContext): Promise<void> {
  const transport = transportOf("namespace-controller");
  const namespaces = createStores(transport, deps)<Namespace>(namespaceKind);
  const content = createNamespaceContent(transport, contents, deps);
  const { reconcile } = createNamespaceController({ namespaces, content, isShared: contents !== undefined, ...deps });
  return runController({ name: "namespace", store: namespaces, reconcile, ...deps }, signal);
}

function runServiceAccountController({ shared, own, deps, signal }: ClusterContext): Promise<void> {
  const accounts = own("service-account-controller");
  const { reconcile } = createServiceAccountController({
    logger: deps.logger,
    accountsIn(namespace) {
      const { get } = shared<ServiceAccount>(serviceAccountKind, { namespace });
      return { get, create: accounts<ServiceAccount>(serviceAccountKind, { namespace }).create };
    },
  });
  const store = shared<Namespace>(namespaceKind);
  const triggers = [createNameTrigger(shared, serviceAccountKind, DEFAULT_SERVICE_ACCOUNT)];
  return runController({ name: "service-account", store, triggers, reconcile, ...deps }, signal);
}

async function runRootCaPublisher({ shared, own, trust, deps, signal }: ClusterContext): Promise<void> {
  const publisher = own("root-ca-cert-publisher");
  const { reconcile } = createRootCaPublisher({
    logger: deps.logger,
    controllerManager: deps.controllerManager,
    caPem: () => trust.content().trustBundle,
    configMapsIn(namespace) {
      const { get } = shared<ConfigMap>(configMapKind, { namespace });
      const { create, update } = publisher<ConfigMap>(configMapKind, { namespace });
      return { get, create, update };
    },
  });
  const store = shared<Namespace>(namespaceKind);
  const changed = createManualTrigger();
  using _listener = trust.onChange(() => changed.fire(["the CAs"]));
  const everywhere: Trigger = { changes: changed.changes, nameFor: (_change, namespaces) => [...namespaces] };
  const triggers = [createNameTrigger(shared, configMapKind, ROOT_CA_NAME), everywhere];
  await runController({ name: "root-ca-publisher", store, triggers, reconcile, ...deps }, signal);
}

function runServingBundlePublisher({ own, trust, deps, signal }: ClusterContext): Promise<void> {
  const signerName = KUBE_APISERVER_SERVING_SIGNER;
  const store = own("kube-apiserver-serving-clustertrustbundle-publisher")<ClusterTrustBundle>(clusterTrustBundleKind, {
    fieldSelector: `spec.signerName=${signerName}`,
  });
  const content = () => Promise.resolve(trust.content());
  return runTrustBundlePublisher({ ...deps, store, signerName, content }, signal);
}

function runBootstrapSigner({ own, deps, signal }: ClusterContext): Promise<void> {
  const stores = own("bootstrap-signer");
  const configMaps = stores<ConfigMap>(configMapKind, {
    namespace: CLUSTER_INFO_NAMESPACE,
    fieldSelector: `metadata.name=${CLUSTER_INFO_NAME}`,
  });
  const secrets = stores<SecretObject>(secretKind, {
    namespace: SYSTEM_NAMESPACE,
    fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}`,
  });
  const { reconcile } = createBootstrapSigner({ configMaps, secrets, ...deps });
  const triggers = [{ changes: secrets.changes, nameFor: () => CLUSTER_INFO_NAME }];
  return runController({ name: "bootstrap-signer", store: configMaps, triggers, reconcile, ...deps }, signal);
}

function runGarbageCollector({ own, storage, contents, deps, signal }: ClusterContext): Promise<void> {
  const stores = own("generic-garbage-collector");
  const collector = createGarbageCollector({
    storage: {
      get: (key) => storage.get(key),
      follow: (prefix, follower) => followResource(storage, prefix, follower),
    },
    contents,
    resources: STORED_RESOURCES.map((resource) => ({ ...resource, keyPrefix: toKeyPrefix(resource, "") })),
    objectsFor: (kind, namespace) => stores(kind, { namespace }),
    controllerManager: deps.controllerManager,
    logger: deps.logger,
  });
  return runController({ name: "garbage-collector", ...collector, ...deps }, signal);
}

function cleanPodRequests({ own, deps, signal }: ClusterContext): Promise<void> {
  const stores = own("podcertificaterequestcleaner");
  const logger = deps.logger.with({ controller: "podcertificaterequest-cleaner" });
  const requestsIn = (namespace: string) => stores<PodCertificateRequest>(podCertificateRequestKind, { namespace });
  return runPodRequestCleaner({ list: requestsIn("").list, requestsIn, clock: deps.clock, logger }, signal);
}

function runAggregation({ own, deps, signal }: ClusterContext): Promise<void> {
  const store = own("clusterrole-aggregation-controller")<ClusterRole>(clusterRoleKind);
  return runController({ name: "aggregation", store, ...createAggregator(store, deps.logger), ...deps }, signal);
}

/**
 * Creates the controller that keeps the rules of aggregated ClusterRoles up to date (`pkg/controller/clusterroleaggregation`):
 * such a role grants the rules of all roles that its `aggregationRule` selects.
 */
export function createAggregator(
  store: Pick<ObjectStore<ClusterRole>, "list" | "update">,
  logger: Logger,
): Reconciler<ClusterRole> {
  return {
    // Every role can affect every other role, so they are one task.
    getKey: () => "roles",
    async reconcile(_key, _role, signal) {
      for (const role of planAggregation(await store.list(signal))) {
        try {
          await store.update(role, signal);
          logger.debug("cluster role aggregated", { clusterRole: getName(role), rules: role.rules?.length ?? 0 });
        } catch (error) {
          // The change that caused a conflict or removed a role triggers another reconciliation.
          if (!isAppError(error, "conflict", "not_found")) throw error;
        }
      }
      return DONE;
    },
  };
}

type Stores = <T extends KubeObject>(
  kind: Kind,
  selection?: Pick<ObjectStoreOptions, "namespace" | "fieldSelector">,
) => ReturnType<typeof createObjectStore<T>>;

/** Creates stores over a transport. */
function createStores(transport: Transport, deps: ControllerDeps): Stores {
  return (kind, selection = {}) => createObjectStore(transport, kind, { ...selection, ...deps });
}

/** Creates a trigger that queues the namespace of every changed object with this name. */
function createNameTrigger(stores: Stores, kind: Kind, name: string): Trigger {
  const store = stores(kind, { fieldSelector: `metadata.name=${name}` });
  return { changes: store.changes, nameFor: ({ metadata }) => metadata.namespace ?? "" };
}

/**
 * Creates the namespace controller's access to the content of namespaces: deletion of collections, and lists.
 * `contents` has objects of a shared store, including those that this API does not serve.
 */
function createNamespaceContent(
  transport: Transport,
  contents: StoreContents | undefined,
  deps: ControllerDeps,
): NamespaceContent {
  const api = createApiClient(transport, deps);
  return {
    kinds: STORED_RESOURCES
      .filter(({ kind, verbs }) => kind.namespaced && verbs.includes("deletecollection"))
      .map(({ kind }) => kind),
    async deleteCollection(kind, namespace, signal) {
      const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background" };
      await api.requestJson({ method: "DELETE", path: formatCollectionPath(kind, namespace), body }, signal);
    },
    list: async (kind, namespace, signal) =>
      (await listAll<KubeObject>(api, formatCollectionPath(kind, namespace), {}, signal)).items,
    async stored(namespace) {
      const collections = await contents?.collections() ?? [];
      const counted = collections.map(async ({ prefix, group, resource }) => ({
        group,
        resource,
        count: await contents?.count(`${prefix}${namespace}/`) ?? 0,
      }));
      return (await Promise.all(counted)).filter(({ count }) => count > 0);
    },
  };
}
