/**
 * Service, as far as the one of the API itself needs it (staging `k8s.io/api/core/v1/types.go`). It is read, never
 * written, so it stands in no list of kinds: what is left out here would be lost.
 */
import type { Kind, MessageSchema } from "../schema.ts";
import { INT32, list, message, STRING } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

const servicePortSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ServicePort",
  description: "A port of a service.",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty", description: "Its name among the ports." },
    protocol: { number: 2, type: STRING, presence: "omitempty", description: "TCP, UDP or SCTP." },
    port: { number: 3, type: INT32, presence: "always", required: true, description: "Where it listens." },
  },
};

const serviceSpecSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.ServiceSpec",
  description: "How a service is reached.",
  fields: {
    ports: {
      number: 1,
      type: list(message(() => servicePortSchema)),
      presence: "omitempty",
      description: "Its ports.",
    },
    clusterIP: { number: 3, type: STRING, presence: "omitempty", description: "Its address, None without one." },
    clusterIPs: { number: 18, type: list(STRING), presence: "omitempty", description: "Its addresses." },
    type: { number: 4, type: STRING, presence: "omitempty", description: "Who can reach it." },
    sessionAffinity: {
      number: 7,
      type: STRING,
      presence: "omitempty",
      description: "Whether a client stays with one endpoint.",
    },
    ipFamilies: { number: 19, type: list(STRING), presence: "omitempty", description: "IPv4, IPv6." },
    ipFamilyPolicy: { number: 17, type: STRING, presence: "omitempty", description: "How many families it wants." },
    internalTrafficPolicy: {
      number: 22,
      type: STRING,
      presence: "omitempty",
      description: "Which endpoints traffic from within reaches.",
    },
  },
};

const loadBalancerStatusSchema: MessageSchema = {
  name: "io.k8s.api.core.v1.LoadBalancerStatus",
  description: "Where a load balancer is.",
  fields: {},
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
  },
};

/** `Service` of `v1`. */
export const serviceKind: Kind = {
  group: "",
  version: "v1",
  kind: "Service",
  listKind: "ServiceList",
  plural: "services",
  singular: "service",
  shortNames: ["svc"],
  categories: [],
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
