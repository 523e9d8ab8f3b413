/** The kinds of the core group except nodes (staging `k8s.io/api/core/v1/types.go`). */
import type { KubeObject } from "../meta.ts";
import type { Kind, MessageSchema } from "../schema.ts";
import { clusterWide, describeVersion, namespaced } from "./kind.ts";
import { conditionSchema, METADATA } from "./meta_v1.ts";
import {
  always,
  atomic,
  BOOL,
  BYTES,
  describeMessages,
  enumerated,
  INT32,
  INT_OR_STRING,
  list,
  map,
  mergedBy,
  MICRO_TIME,
  named,
  omitempty,
  optional,
  required,
  STRING,
  TIME,
  UID,
} from "./notation.ts";

const { atomicMessage, kind, message } = describeVersion("", "v1", "io.k8s.api.core.v1");

/** Values that are not confidential, under short keys. */
export interface ConfigMap extends KubeObject {
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
  /** The values are base64 text. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export const configMapKind: Kind = kind<ConfigMap>("ConfigMap", namespaced("cm"), "Plain values under short keys.", {
  immutable: optional(4, BOOL, "True forbids any further change of the values."),
  data: omitempty(2, map(STRING), "Values as text."),
  binaryData: omitempty(3, map(BYTES), "Values as bytes, base64 in JSON."),
});

/** Confidential data; bootstrap tokens are Secrets of type `bootstrap.kubernetes.io/token`. */
export interface SecretObject extends KubeObject {
  readonly immutable?: boolean;
  /** The values are base64 text. */
  readonly data?: Readonly<Record<string, string>>;
  /** Values as plain text, which the server moves into `data`. */
  readonly stringData?: Readonly<Record<string, string>>;
  readonly type?: string;
}

/** Describes the kind `Secret` of `v1` for all codecs. */
export const secretKind: Kind = kind<SecretObject>("Secret", namespaced(), "Confidential values under short keys.", {
  immutable: optional(5, BOOL, "True forbids any further change of the values."),
  data: omitempty(2, map(BYTES), "The values, base64 in JSON."),
  stringData: omitempty(4, map(STRING), "Values as plain text, which the server moves into data; write-only."),
  type: omitempty(3, named("v1.SecretType"), "How programs should interpret the values."),
});

/** A reference to an object or a part of it. */
export interface ObjectReference {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly apiVersion?: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

export const objectReferenceSchema: MessageSchema = atomicMessage<ObjectReference>(
  "ObjectReference",
  "A reference to another object or a part of it.",
  {
    kind: omitempty(1, STRING, "Kind of the object."),
    namespace: omitempty(2, STRING, "Namespace of the object."),
    name: omitempty(3, STRING, "Name of the object."),
    uid: omitempty(4, UID, "Identifier of the object."),
    apiVersion: omitempty(5, STRING, "Group and version of the object."),
    resourceVersion: omitempty(6, STRING, "Version of the object."),
    fieldPath: omitempty(7, STRING, "Path of a field of the object."),
  },
);

const localObjectReference = atomicMessage("LocalObjectReference", "A reference to an object in the same namespace.", {
  name: omitempty(1, { type: STRING, default: "" }, "Name of the object."),
});

/** An identity for programs that run in pods. */
export interface ServiceAccount extends KubeObject {
  readonly secrets?: readonly ObjectReference[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
  readonly automountServiceAccountToken?: boolean;
}

export const serviceAccountKind: Kind = kind<ServiceAccount>(
  "ServiceAccount",
  namespaced("sa"),
  "An identity for programs that run in pods.",
  {
    secrets: omitempty(2, mergedBy("name", objectReferenceSchema), "Secrets that pods of this account may use."),
    imagePullSecrets: omitempty(3, atomic(localObjectReference), "Secrets to pull images with."),
    automountServiceAccountToken: optional(4, BOOL, "Whether a token is mounted into pods by default."),
  },
);

const namespaceSpec = message("NamespaceSpec", "Desired behaviour of a namespace.", {
  finalizers: omitempty(1, named("[]v1.FinalizerName", atomic(STRING)), "Controllers that must act before removal."),
});

/** One observation about the deletion of a Namespace. */
export interface NamespaceCondition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime?: string | null;
  readonly reason?: string;
  readonly message?: string;
}

const namespaceCondition = message<NamespaceCondition>("NamespaceCondition", "One observation about a namespace.", {
  type: required(1, named("v1.NamespaceConditionType"), "Type of the condition."),
  status: required(2, named("v1.ConditionStatus"), "True, False or Unknown."),
  lastTransitionTime: always(4, TIME, "When the status last changed."),
  reason: omitempty(5, STRING, "Short machine-readable cause."),
  message: omitempty(6, STRING, "The cause in words."),
});

const namespaceStatus = message("NamespaceStatus", "Observed state of a namespace.", {
  phase: omitempty(1, enumerated(["Active", "Terminating"], named("v1.NamespacePhase")), "Active or Terminating."),
  conditions: omitempty(2, mergedBy("type", namespaceCondition), "Latest observations of its deletion."),
});

/** A scope for the names of other objects. */
export interface Namespace extends KubeObject {
  readonly spec: { readonly finalizers?: readonly string[] };
  readonly status: {
    readonly phase?: string;
    readonly conditions?: readonly NamespaceCondition[];
  };
}

export const namespaceKind: Kind = kind<Namespace>(
  "Namespace",
  clusterWide("ns"),
  "A scope for the names of other objects.",
  {
    spec: always(2, namespaceSpec, "Desired behaviour of the namespace."),
    status: always(3, namespaceStatus, "Observed state of the namespace."),
  },
);

/** The component that reports an event, and its node. */
export const eventSourceSchema: MessageSchema = message("EventSource", "The component that reports an event.", {
  component: omitempty(1, STRING, "Name of the component."),
  host: omitempty(2, STRING, "Node it runs on."),
});

const eventSeries = message("EventSeries", "Describes how often an event has been repeated.", {
  count: omitempty(1, INT32, "Occurrences so far."),
  lastObservedTime: always(2, MICRO_TIME, "When it was last seen."),
});

/** A report of something that happened to an object. */
export interface Event extends KubeObject {
  readonly involvedObject: ObjectReference;
  readonly reason?: string;
  readonly message?: string;
  readonly source: { readonly component?: string; readonly host?: string };
  readonly firstTimestamp: string | null;
  readonly lastTimestamp: string | null;
  readonly count?: number;
  readonly type?: string;
  readonly eventTime: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string | null };
  readonly action?: string;
  readonly related?: ObjectReference;
  readonly reportingComponent: string;
  readonly reportingInstance: string;
}

export const eventKind: Kind = kind<Event>(
  "Event",
  namespaced("ev"),
  "A report of something that happened to an object; kept for a short time.",
  {
    metadata: { ...METADATA, required: true },
    involvedObject: required(2, objectReferenceSchema, "Object that the event describes."),
    reason: omitempty(3, STRING, "Short machine-readable cause."),
    message: omitempty(4, STRING, "What happened, in words."),
    source: always(5, eventSourceSchema, "The component that reports the event."),
    firstTimestamp: always(6, TIME, "When it was first seen."),
    lastTimestamp: always(7, TIME, "When it was last seen."),
    count: omitempty(8, INT32, "How often it was seen."),
    type: omitempty(9, STRING, "Normal or Warning."),
    eventTime: always(10, MICRO_TIME, "When it was first seen, with microseconds."),
    series: optional(11, eventSeries, "The series this event belongs to."),
    action: omitempty(12, STRING, "What was done or failed."),
    related: optional(13, objectReferenceSchema, "A second object that is involved."),
    reportingComponent: always(14, STRING, "Controller that reports the event."),
    reportingInstance: always(15, STRING, "Instance of that controller."),
  },
);

const servicePort = message("ServicePort", "A port of a service.", {
  name: omitempty(1, STRING, "Name of the port, unique within the service."),
  protocol: omitempty(2, { ...enumerated(["SCTP", "TCP", "UDP"], named("v1.Protocol")), default: "TCP" }, "Protocol."),
  appProtocol: optional(6, STRING, "Application protocol of the port."),
  port: required(3, INT32, "The port number."),
  targetPort: always(4, INT_OR_STRING, "Number or name of the port on the endpoints."),
  nodePort: omitempty(5, INT32, "Port on every node."),
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
  clusterIP: omitempty(3, STRING, "Address of the service, or None."),
  clusterIPs: omitempty(18, atomic(STRING), "Its addresses."),
  type: omitempty(
    4,
    enumerated(["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], named("v1.ServiceType")),
    "How the service is exposed.",
  ),
  externalIPs: omitempty(5, atomic(STRING), "Addresses of nodes that the cluster does not manage."),
  sessionAffinity: omitempty(7, enumerated(["ClientIP", "None"], named("v1.ServiceAffinity")), "Affinity of clients."),
  loadBalancerIP: omitempty(8, STRING, "Requested address of the load balancer."),
  loadBalancerSourceRanges: omitempty(9, atomic(STRING), "Networks that may use the load balancer."),
  externalName: omitempty(10, STRING, "DNS name for which the service is an alias."),
  externalTrafficPolicy: omitempty(
    11,
    enumerated(["Cluster", "Local"], named("v1.ServiceExternalTrafficPolicy")),
    "Which endpoints receive traffic from outside the cluster.",
  ),
  healthCheckNodePort: omitempty(12, INT32, "The port of its health check."),
  publishNotReadyAddresses: omitempty(13, BOOL, "Whether endpoints are published before they are ready."),
  sessionAffinityConfig: optional(14, sessionAffinityConfig, "The settings of the affinity."),
  ipFamilies: omitempty(
    19,
    enumerated(["", "IPv4", "IPv6"], named("[]v1.IPFamily", atomic(STRING))),
    "Its IP families.",
  ),
  ipFamilyPolicy: optional(
    17,
    enumerated(["PreferDualStack", "RequireDualStack", "SingleStack"], named("v1.IPFamilyPolicy")),
    "Requested number of IP families.",
  ),
  allocateLoadBalancerNodePorts: optional(20, BOOL, "Whether the load balancer needs node ports."),
  loadBalancerClass: optional(21, STRING, "Class of the load balancer."),
  internalTrafficPolicy: optional(
    22,
    enumerated(["Cluster", "Local"], named("v1.ServiceInternalTrafficPolicy")),
    "Which endpoints receive traffic from inside the cluster.",
  ),
  trafficDistribution: optional(23, STRING, "Which endpoints are preferred."),
});

const portStatus = message("PortStatus", "The state of a port of a load balancer.", {
  port: required(1, INT32, "The port number."),
  protocol: required(2, enumerated(["SCTP", "TCP", "UDP"], named("v1.Protocol")), "TCP, UDP or SCTP."),
  error: optional(3, STRING, "Problem with the port."),
});

const loadBalancerIngress = message("LoadBalancerIngress", "An address of a load balancer.", {
  ip: omitempty(1, STRING, "The IP address."),
  hostname: omitempty(2, STRING, "The DNS name."),
  ipMode: optional(3, STRING, "VIP or Proxy."),
  ports: omitempty(4, atomic(portStatus), "The state of its ports."),
});

const loadBalancerStatus = message("LoadBalancerStatus", "Addresses of a load balancer.", {
  ingress: omitempty(1, atomic(loadBalancerIngress), "Its addresses."),
});

const serviceStatus = message("ServiceStatus", "Observed state of a service.", {
  loadBalancer: always(1, loadBalancerStatus, "Its load balancer."),
  conditions: omitempty(2, mergedBy("type", conditionSchema), "Latest observations about the service."),
});

export const serviceKind: Kind = kind(
  "Service",
  { ...namespaced("svc"), categories: ["all"] },
  "A stable name and address for a set of endpoints.",
  {
    spec: always(2, serviceSpec, "How it is reached."),
    status: always(3, serviceStatus, "Observed state."),
  },
);

// Only the fields of a Pod that admission reads are described: a kube-apiserver that shares the store writes the pods
// (decision 38). Never encode a Pod with this incomplete description.

/** A volume of a pod. Its source is in `volumeSource` in protobuf and in the volume itself in JSON. */
interface PodVolume {
  readonly volumeSource?: { readonly projected?: ProjectedVolume };
  readonly projected?: ProjectedVolume;
}

/** A volume that combines several sources, among them certificates. */
interface ProjectedVolume {
  readonly sources?: readonly { readonly podCertificate?: { readonly signerName?: string } }[];
}

const podMetadata = describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1").message(
  "ObjectMeta",
  "Identity of a pod.",
  {
    name: omitempty(1, STRING),
    namespace: omitempty(3, STRING),
    uid: omitempty(5, STRING),
    deletionTimestamp: optional(9, TIME),
    annotations: omitempty(12, map(STRING)),
  },
);

const podCertificate = message("PodCertificateProjection", "A certificate for a pod.", {
  signerName: omitempty(1, STRING),
});

const projection = message("VolumeProjection", "One source of a projected volume.", {
  podCertificate: optional(6, podCertificate),
});

const projected = message("ProjectedVolumeSource", "A volume of several sources.", {
  sources: omitempty(1, list(projection)),
});

const volumeSource = message("VolumeSource", "The source of a volume.", {
  projected: optional(26, projected),
});

const volume = message("Volume", "A volume of a pod.", {
  volumeSource: optional(2, volumeSource),
  // In JSON, the fields of the source are those of the volume. Protobuf has no field with this number here.
  projected: optional(26, projected),
});

const podSpec = message("PodSpec", "The node, the service account and the volumes of a pod.", {
  volumes: omitempty(1, list(volume)),
  serviceAccountName: omitempty(8, STRING),
  nodeName: omitempty(10, STRING),
});

/** The fields of a Pod that decide whether its node may request a certificate for it. */
export interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly volumes?: readonly PodVolume[];
  };
}

/** Describes the fields of the kind `Pod` of core `v1` that admission reads. */
export const podKind: Kind = kind<Pod>("Pod", { ...namespaced("po"), categories: ["all"] }, "Containers on a node.", {
  metadata: always(1, podMetadata),
  spec: always(2, podSpec),
});
