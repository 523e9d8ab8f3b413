/**
 * Core `v1` services, read-only and in no discovery document. A Kubernetes API server has one for itself,
 * `default/kubernetes`, which clients read to learn whether addresses are IPv4 or IPv6. Kubelets that watch services find it
 * too, instead of repeating the request.
 */
import { serviceKind } from "../../core/kube/kinds/core_v1.ts";
import type { BootstrapObject } from "../bootstrap_objects.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { createPlainStrategy, type Resource } from "./resource.ts";

/** The fields of a Service that tables show. */
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

/** Creates the API's own service, which is headless because there is no service network here. */
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
