/**
 * Core `v1` namespaces and services; nodes, secrets and service accounts are in separate files. A deletion marks a
 * namespace, which is removed when its finalizers are gone (`pkg/registry/core/namespace`). Services are read-only. A
 * Kubernetes API server has its own, `default/kubernetes`: clients read it to find out whether addresses are IPv4 or
 * IPv6, and `kubectl cluster-info` lists services. Other services may be in an etcd that a kube-apiserver shares.
 */
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from "../../core/kube/garbage_collection.ts";
import type { Namespace } from "../../core/kube/kinds/core_v1.ts";
import { namespaceKind, serviceKind } from "../../core/kube/kinds/mod.ts";
import { type DeleteOptions, formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { labelNameErrors } from "../../core/kube/names.ts";
import { conflict } from "../../core/kube/status/status.ts";
import {
  defaultNamespace,
  prepareNamespaceForCreate,
  prepareNamespaceForUpdate,
  validateNamespace,
  validateNamespaceFinalizeUpdate,
  validateNamespaceStatusUpdate,
} from "../../core/kube/rules/namespaces.ts";
import {
  ageColumn,
  type Beginning,
  type DeletionRequest,
  nameColumn,
  READ_VERBS,
  type Resource,
  STANDARD_VERBS,
  SUBRESOURCE_VERBS,
  textColumn,
} from "./resource.ts";
import { withMeta } from "./write.ts";
import { sortedKeys } from "../../core/lib/go_text.ts";

/** Namespaces, whose collection cannot be deleted. */
export const namespaces: Resource<Namespace> = {
  kind: namespaceKind,
  verbs: STANDARD_VERBS.filter((verb) => verb !== "deletecollection"),
  columns: [
    nameColumn,
    textColumn("Status", "Active or terminating.", (namespace) => namespace.status.phase ?? ""),
    ageColumn,
  ],
  selectableFields: ["status.phase"],
  selectField: (namespace) => namespace.status.phase ?? "",
  strategy: {
    checksGenerateName: true,
    validateName: labelNameErrors,
    applyDefaults: defaultNamespace,
    prepareForCreate: prepareNamespaceForCreate,
    prepareForUpdate: prepareNamespaceForUpdate,
    validateCreate: validateNamespace,
    validateUpdate: validateNamespace,
    resetFields: ["status"],
  },
  subresources: [
    {
      name: "finalize",
      verbs: ["update"],
      table: false,
      prepareForUpdate: (namespace, stored) => ({ ...namespace, status: stored.status }),
      validateUpdate: validateNamespaceFinalizeUpdate,
      resetFields: ["status"],
    },
    {
      name: "status",
      verbs: SUBRESOURCE_VERBS,
      table: true,
      prepareForUpdate: (namespace, stored) => ({ ...namespace, spec: stored.spec }),
      validateUpdate: validateNamespaceStatusUpdate,
      resetFields: ["spec"],
    },
  ],
  deletion: { returnsObject: true, withoutUnsafe: true, begin: beginDeletion },
};

/** Marks the namespace at the first deletion. Later ones wait until the finalizers of the spec are gone. */
function beginDeletion(namespace: Namespace, { options, now }: DeletionRequest): Beginning<Namespace> {
  assertPreconditions(namespace, options);
  if (namespace.metadata.deletionTimestamp !== undefined) {
    return (namespace.spec.finalizers ?? []).length > 0 ? { kind: "waiting" } : { kind: "usual" };
  }
  const marked = withMeta(namespace, {
    deletionTimestamp: formatTime(now),
    finalizers: planFinalizers(namespace, options),
  });
  return { kind: "mark", object: { ...marked, status: { ...namespace.status, phase: "Terminating" } } };
}

/** Checks the preconditions. The messages differ from those of other kinds. */
function assertPreconditions({ metadata }: Namespace, { preconditions = {} }: DeleteOptions): void {
  const { name = "", uid = "", resourceVersion = "" } = metadata;
  const refuse = (what: string, wanted: string, actual: string) =>
    conflict(
      namespaceKind,
      name,
      `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${actual}`,
    );
  if ((preconditions.uid ?? uid) !== uid) throw refuse("UID", preconditions.uid ?? "", uid);
  const version = preconditions.resourceVersion ?? resourceVersion;
  if (version !== resourceVersion) throw refuse("ResourceVersion", version, resourceVersion);
}

/** Plans the finalizers. For namespaces only, `orphanDependents: false` means foreground deletion. */
function planFinalizers(namespace: Namespace, options: DeleteOptions): readonly string[] | undefined {
  const old = namespace.metadata.finalizers ?? [];
  const { orphanDependents, propagationPolicy } = options;
  const decide = (finalizer: string, whenOrphanDependents: boolean, policy: string): boolean => {
    if (orphanDependents !== undefined) return orphanDependents === whenOrphanDependents;
    return propagationPolicy === undefined ? old.includes(finalizer) : propagationPolicy === policy;
  };
  const wanted = [
    ...(decide(ORPHAN_FINALIZER, true, "Orphan") ? [ORPHAN_FINALIZER] : []),
    ...(decide(FOREGROUND_FINALIZER, false, "Foreground") ? [FOREGROUND_FINALIZER] : []),
  ];
  const kept = old.filter((finalizer) => finalizer !== ORPHAN_FINALIZER && finalizer !== FOREGROUND_FINALIZER);
  const next = [...kept, ...wanted];
  return next.length === 0 ? undefined : next.length === old.length ? old : next;
}

/** The fields of a Service that tables and selectors read. */
export interface ServiceShape extends KubeObject {
  readonly spec: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly externalName?: string;
    readonly ports?: readonly ServicePort[];
    readonly selector?: Readonly<Record<string, string>>;
  };
  readonly status: {
    readonly loadBalancer: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
  };
}

interface ServicePort {
  readonly port: number;
  readonly protocol?: string;
  readonly targetPort?: number | string;
  readonly nodePort?: number;
}

/** The services, with the columns of `pkg/printers/internalversion/printers.go` (printService). */
export const services: Resource<ServiceShape> = {
  kind: serviceKind,
  storageName: "services/specs",
  verbs: READ_VERBS,
  columns: [
    nameColumn,
    textColumn("Type", "How the service is exposed.", ({ spec }) => spec.type ?? ""),
    textColumn("Cluster-IP", "Its address.", ({ spec }) => spec.clusterIPs?.[0] ?? "<none>"),
    textColumn("External-IP", "Its addresses outside of the cluster.", formatExternalIps),
    textColumn("Port(s)", "Its ports.", ({ spec }) => (spec.ports ?? []).map(formatPort).join(",") || "<none>"),
    ageColumn,
    textColumn("Selector", "Labels of the pods behind it.", ({ spec }) => formatLabels(spec.selector), 1),
  ],
  selectableFields: ["spec.clusterIP", "spec.type"],
  selectField: ({ spec }, field) => (field === "spec.type" ? spec.type : spec.clusterIP) ?? "",
  strategy: {},
};

function formatPort({ port, protocol, nodePort = 0 }: ServicePort): string {
  return nodePort > 0 ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`;
}

function formatExternalIps({ spec, status }: ServiceShape): string {
  const external = spec.externalIPs ?? [];
  switch (spec.type) {
    case "ClusterIP":
    case "NodePort":
      return external.join(",") || "<none>";
    case "LoadBalancer": {
      const found = (status.loadBalancer.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? "");
      const balancers = [...new Set(found.filter((address) => address !== ""))].sort();
      return [...balancers, ...external].join(",") || "<pending>";
    }
    case "ExternalName":
      return spec.externalName ?? "";
    default:
      return "<unknown>";
  }
}

function formatLabels(labels: Readonly<Record<string, string>> = {}): string {
  return sortedKeys(labels).map((key) => `${key}=${labels[key]}`).join(",") || "<none>";
}
