/** Service of the core group (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind, MessageSchema } from "../schema.ts";
import { BOOL, INT32, INT_OR_STRING, list, map, mergedBy, message, STRING } from "./fields.ts";
import { conditionSchema } from "./meta_v1.ts";
import { METADATA } from "./object_meta.ts";

const PROTOCOLS: readonly string[] = ["SCTP", "TCP", "UDP"];

const servicePortSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ServicePort",
  description: "A port of a service.",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty", description: "Its name among the ports." },
    protocol: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      goType: "v1.Protocol",
      enum: PROTOCOLS,
      default: "TCP",
      description: "TCP, UDP or SCTP.",
    },
    appProtocol: { number: 6, type: STRING, presence: "optional", description: "The protocol above it." },
    port: { number: 3, type: INT32, presence: "always", required: true, description: "The port number." },
    targetPort: {
      number: 4,
      type: INT_OR_STRING,
      presence: "always",
      description: "The number or name of the port at the endpoints.",
    },
    nodePort: { number: 5, type: INT32, presence: "omitempty", description: "The port at every node." },
  },
};

const sessionAffinityConfigSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.SessionAffinityConfig",
  description: "How long a client stays with one endpoint.",
  fields: {
    clientIP: {
      number: 1,
      type: message(() => clientIpConfigSchema),
      presence: "optional",
      description: "For affinity by the address of the client.",
    },
  },
};

const clientIpConfigSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ClientIPConfig",
  description: "Affinity by the address of the client.",
  fields: {
    timeoutSeconds: { number: 1, type: INT32, presence: "optional", description: "Seconds, at most a day." },
  },
};

const TRAFFIC_POLICIES: readonly string[] = ["Cluster", "Local"];

const serviceSpecSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ServiceSpec",
  description: "How a service is reached.",
  fields: {
    ports: {
      number: 1,
      type: list(message(() => servicePortSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["port", "protocol"],
      patchStrategy: "merge",
      patchMergeKey: "port",
      description: "Its ports.",
    },
    selector: {
      number: 2,
      type: map(STRING),
      presence: "omitempty",
      mapType: "atomic",
      description: "Labels of the pods behind it.",
    },
    clusterIP: { number: 3, type: STRING, presence: "omitempty", description: "Its address, None without one." },
    clusterIPs: {
      number: 18,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Its addresses.",
    },
    type: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      goType: "v1.ServiceType",
      enum: ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
      description: "How the service is exposed.",
    },
    externalIPs: {
      number: 5,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Addresses of nodes that the cluster does not manage.",
    },
    sessionAffinity: {
      number: 7,
      type: STRING,
      presence: "omitempty",
      goType: "v1.ServiceAffinity",
      enum: ["ClientIP", "None"],
      description: "Whether a client stays with one endpoint.",
    },
    loadBalancerIP: {
      number: 8,
      type: STRING,
      presence: "omitempty",
      description: "The wanted address of its balancer.",
    },
    loadBalancerSourceRanges: {
      number: 9,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Networks that may use its balancer.",
    },
    externalName: { number: 10, type: STRING, presence: "omitempty", description: "The DNS name that it stands for." },
    externalTrafficPolicy: {
      number: 11,
      type: STRING,
      presence: "omitempty",
      goType: "v1.ServiceExternalTrafficPolicy",
      enum: TRAFFIC_POLICIES,
      description: "Which endpoints traffic from outside reaches.",
    },
    healthCheckNodePort: {
      number: 12,
      type: INT32,
      presence: "omitempty",
      description: "The port of its health check.",
    },
    publishNotReadyAddresses: {
      number: 13,
      type: BOOL,
      presence: "omitempty",
      description: "Whether endpoints are published before they are ready.",
    },
    sessionAffinityConfig: {
      number: 14,
      type: message(() => sessionAffinityConfigSchema),
      presence: "optional",
      description: "The settings of the affinity.",
    },
    ipFamilies: {
      number: 19,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      goType: "[]v1.IPFamily",
      enum: ["", "IPv4", "IPv6"],
      description: "IPv4, IPv6.",
    },
    ipFamilyPolicy: {
      number: 17,
      type: STRING,
      presence: "optional",
      goType: "v1.IPFamilyPolicy",
      enum: ["PreferDualStack", "RequireDualStack", "SingleStack"],
      description: "How many families it wants.",
    },
    allocateLoadBalancerNodePorts: {
      number: 20,
      type: BOOL,
      presence: "optional",
      description: "Whether its balancer needs ports at the nodes.",
    },
    loadBalancerClass: { number: 21, type: STRING, presence: "optional", description: "The kind of its balancer." },
    internalTrafficPolicy: {
      number: 22,
      type: STRING,
      presence: "optional",
      goType: "v1.ServiceInternalTrafficPolicy",
      enum: TRAFFIC_POLICIES,
      description: "Which endpoints traffic from within reaches.",
    },
    trafficDistribution: {
      number: 23,
      type: STRING,
      presence: "optional",
      description: "Which endpoints are preferred.",
    },
  },
};

const loadBalancerStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.LoadBalancerStatus",
  description: "Where a load balancer is.",
  fields: {
    ingress: {
      number: 1,
      type: list(message(() => loadBalancerIngressSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Its addresses.",
    },
  },
};

const loadBalancerIngressSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.LoadBalancerIngress",
  description: "An address of a load balancer.",
  fields: {
    ip: { number: 1, type: STRING, presence: "omitempty", description: "The IP address." },
    hostname: { number: 2, type: STRING, presence: "omitempty", description: "The DNS name." },
    ipMode: { number: 3, type: STRING, presence: "optional", description: "VIP or Proxy." },
    ports: {
      number: 4,
      type: list(message(() => portStatusSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "The state of its ports.",
    },
  },
};

const portStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.PortStatus",
  description: "The state of a port of a load balancer.",
  fields: {
    port: { number: 1, type: INT32, presence: "always", required: true, description: "The port number." },
    protocol: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.Protocol",
      enum: PROTOCOLS,
      description: "TCP, UDP or SCTP.",
    },
    error: { number: 3, type: STRING, presence: "optional", description: "What is wrong with it." },
  },
};

const serviceStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ServiceStatus",
  description: "Observed state of a service.",
  fields: {
    loadBalancer: {
      number: 1,
      type: message(() => loadBalancerStatusSchema),
      presence: "always",
      description: "Its load balancer.",
    },
    conditions: {
      number: 2,
      type: list(message(() => conditionSchema)),
      presence: "omitempty",
      ...mergedBy("type"),
      description: "Its state in parts.",
    },
  },
};

/** Describes the kind `Service` of `v1` for all codecs. */
export const serviceKind: Kind = {
  group: "",
  version: "v1",
  kind: "Service",
  listKind: "ServiceList",
  plural: "services",
  singular: "service",
  shortNames: ["svc"],
  categories: ["all"],
  namespaced: true,
  schema: {
    name: "io.k8s.api.core.v1.Service",
    description: "Where something is reached under one name.",
    fields: {
      metadata: METADATA,
      spec: {
        number: 2,
        type: message(() => serviceSpecSchema),
        presence: "always",
        description: "How it is reached.",
      },
      status: {
        number: 3,
        type: message(() => serviceStatusSchema),
        presence: "always",
        description: "Observed state.",
      },
    },
  },
};
