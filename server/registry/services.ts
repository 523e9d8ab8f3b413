/**
 * Core `v1` services, read only and in no discovery document: a Kubernetes API server keeps one of itself,
 * `default/kubernetes`, and clients look for it to learn whether addresses are IPv4 or IPv6. Kubelets that follow
 * services find it too, instead of asking again and again.
 */
import { serviceKind } from "../../core/kube/kinds/core_v1.ts";
import type { BootstrapObject } from "../bootstrap_objects.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Resource } from "./resource.ts";
import { createPlainStrategy } from "./strategies.ts";

/** The part of a Service that is shown. */
interface Service extends KubeObject {
  readonly spec: { readonly type?: string; readonly clusterIP?: string };
}

/** The service of the API itself. */
export const services: Resource<Service> = {
  kind: serviceKind,
  storageName: "services/specs",
  verbs: ["get", "list", "watch"],
  isHidden: true,
  columns: [
    nameColumn,
    textColumn<Service>("Type", "Who can reach it.", ({ spec }) => spec.type ?? ""),
    textColumn<Service>("Cluster-IP", "Its address.", ({ spec }) => spec.clusterIP ?? ""),
    ageColumn,
  ],
  selectableFields: ["spec.clusterIP", "spec.type"],
  selectField: ({ spec }, field) => (field === "spec.type" ? spec.type : spec.clusterIP) ?? "",
  strategy: createPlainStrategy<Service>({ validateName: () => [] }),
  subresources: [],
};

/** There is no network of services here: the API's own has no address in one. */
export function apiService(): BootstrapObject {
  return {
    key: "/registry/services/specs/default/kubernetes",
    kind: serviceKind,
    stamped: ["status"],
    object: {
      metadata: {
        name: "kubernetes",
        namespace: "default",
        labels: { component: "apiserver", provider: "kubernetes" },
      },
      spec: {
        ports: [{ name: "https", protocol: "TCP", port: 443 }],
        clusterIP: "None",
        clusterIPs: ["None"],
        type: "ClusterIP",
        sessionAffinity: "None",
        ipFamilies: ["IPv4"],
        ipFamilyPolicy: "SingleStack",
        internalTrafficPolicy: "Cluster",
      },
      status: { loadBalancer: {} },
    } as KubeObject,
    plan: () => ({ kind: "none" }),
  };
}
