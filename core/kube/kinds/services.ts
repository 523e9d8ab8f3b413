/** Service of the core group (staging `k8s.io/api/core/v1/types.go`). */
import type { Kind } from "../schema.ts";
import { describeVersion, namespaced } from "./kind.ts";
import { conditionSchema } from "./meta_v1.ts";
import {
  always,
  atomic,
  BOOL,
  enumerated,
  INT32,
  INT_OR_STRING,
  map,
  mergedBy,
  named,
  omitempty,
  optional,
  required,
  STRING,
} from "./notation.ts";

const { kind, message } = describeVersion("", "v1", "io.k8s.api.core.v1");

const servicePort = message("ServicePort", "A port of a service.", {
  name: omitempty(1, STRING, "Its name among the ports."),
  protocol: omitempty(2, { ...enumerated(["SCTP", "TCP", "UDP"], named("v1.Protocol")), default: "TCP" }, "Protocol."),
  appProtocol: optional(6, STRING, "The protocol above it."),
  port: required(3, INT32, "The port number."),
  targetPort: always(4, INT_OR_STRING, "The number or name of the port at the endpoints."),
  nodePort: omitempty(5, INT32, "The port at every node."),
});

const clientIpConfig = message("ClientIPConfig", "Affinity by the address of the client.", {
  timeoutSeconds: optional(1, INT32, "Seconds, at most a day."),
});

const sessionAffinityConfig = message("SessionAffinityConfig", "How long a client stays with one endpoint.", {
  clientIP: optional(1, clientIpConfig, "For affinity by the address of the client."),
});

const serviceSpec = message("ServiceSpec", "How a service is reached.", {
  ports: omitempty(1, { ...mergedBy("port", servicePort), listMapKeys: ["port", "protocol"] }, "Its ports."),
  selector: omitempty(2, { type: map(STRING), mapType: "atomic" }, "Labels of the pods behind it."),
  clusterIP: omitempty(3, STRING, "Its address, None without one."),
  clusterIPs: omitempty(18, atomic(STRING), "Its addresses."),
  type: omitempty(
    4,
    enumerated(["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], named("v1.ServiceType")),
    "How the service is exposed.",
  ),
  externalIPs: omitempty(5, atomic(STRING), "Addresses of nodes that the cluster does not manage."),
  sessionAffinity: omitempty(7, enumerated(["ClientIP", "None"], named("v1.ServiceAffinity")), "Affinity of clients."),
  loadBalancerIP: omitempty(8, STRING, "The wanted address of its balancer."),
  loadBalancerSourceRanges: omitempty(9, atomic(STRING), "Networks that may use its balancer."),
  externalName: omitempty(10, STRING, "The DNS name that it stands for."),
  externalTrafficPolicy: omitempty(
    11,
    enumerated(["Cluster", "Local"], named("v1.ServiceExternalTrafficPolicy")),
    "Which endpoints traffic from outside reaches.",
  ),
  healthCheckNodePort: omitempty(12, INT32, "The port of its health check."),
  publishNotReadyAddresses: omitempty(13, BOOL, "Whether endpoints are published before they are ready."),
  sessionAffinityConfig: optional(14, sessionAffinityConfig, "The settings of the affinity."),
  ipFamilies: omitempty(19, enumerated(["", "IPv4", "IPv6"], named("[]v1.IPFamily", atomic(STRING))), "IPv4, IPv6."),
  ipFamilyPolicy: optional(
    17,
    enumerated(["PreferDualStack", "RequireDualStack", "SingleStack"], named("v1.IPFamilyPolicy")),
    "How many families it wants.",
  ),
  allocateLoadBalancerNodePorts: optional(20, BOOL, "Whether its balancer needs ports at the nodes."),
  loadBalancerClass: optional(21, STRING, "The kind of its balancer."),
  internalTrafficPolicy: optional(
    22,
    enumerated(["Cluster", "Local"], named("v1.ServiceInternalTrafficPolicy")),
    "Which endpoints traffic from within reaches.",
  ),
  trafficDistribution: optional(23, STRING, "Which endpoints are preferred."),
});

const portStatus = message("PortStatus", "The state of a port of a load balancer.", {
  port: required(1, INT32, "The port number."),
  protocol: required(2, enumerated(["SCTP", "TCP", "UDP"], named("v1.Protocol")), "TCP, UDP or SCTP."),
  error: optional(3, STRING, "What is wrong with it."),
});

const loadBalancerIngress = message("LoadBalancerIngress", "An address of a load balancer.", {
  ip: omitempty(1, STRING, "The IP address."),
  hostname: omitempty(2, STRING, "The DNS name."),
  ipMode: optional(3, STRING, "VIP or Proxy."),
  ports: omitempty(4, atomic(portStatus), "The state of its ports."),
});

const loadBalancerStatus = message("LoadBalancerStatus", "Where a load balancer is.", {
  ingress: omitempty(1, atomic(loadBalancerIngress), "Its addresses."),
});

const serviceStatus = message("ServiceStatus", "Observed state of a service.", {
  loadBalancer: always(1, loadBalancerStatus, "Its load balancer."),
  conditions: omitempty(2, mergedBy("type", conditionSchema), "Its state in parts."),
});

export const serviceKind: Kind = kind(
  "Service",
  { ...namespaced("svc"), categories: ["all"] },
  "Where something is reached under one name.",
  {
    spec: always(2, serviceSpec, "How it is reached."),
    status: always(3, serviceStatus, "Observed state."),
  },
);
