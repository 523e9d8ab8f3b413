/**
 * Core `v1` services, read-only. A Kubernetes API server has one for itself, `default/kubernetes`: clients read it to learn
 * whether addresses are IPv4 or IPv6, and `kubectl cluster-info` lists services. Others may be in an etcd that a
 * kube-apiserver shares.
 */
import { serviceKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { sortedKeys } from "../../core/lib/byte_order.ts";
import { ageColumn, nameColumn, READ_VERBS, type Resource, textColumn } from "./resource.ts";

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
