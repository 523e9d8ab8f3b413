/** Aggregated discovery, `apidiscovery.k8s.io/v2` (staging `k8s.io/api/apidiscovery/v2/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { list, message, STRING } from "./fields.ts";
import { METADATA } from "./object_meta.ts";
import { listMetaSchema } from "./meta_v1.ts";

/** Lists everything that is served, group by group. */
export const apiGroupDiscoveryListSchema: MessageSchema = {
  name: "io.k8s.api.apidiscovery.v2.APIGroupDiscoveryList",
  fields: {
    metadata: { number: 1, type: message(() => listMetaSchema), presence: "always" },
    items: { number: 2, type: list(message(() => apiGroupDiscoverySchema)), presence: "always" },
  },
};

const apiGroupDiscoverySchema: MessageSchema = {
  name: "io.k8s.api.apidiscovery.v2.APIGroupDiscovery",
  fields: {
    metadata: METADATA,
    versions: { number: 2, type: list(message(() => apiVersionDiscoverySchema)), presence: "omitempty" },
  },
};

const apiVersionDiscoverySchema: MessageSchema = {
  name: "io.k8s.api.apidiscovery.v2.APIVersionDiscovery",
  fields: {
    version: { number: 1, type: STRING, presence: "always" },
    resources: { number: 2, type: list(message(() => apiResourceDiscoverySchema)), presence: "omitempty" },
    freshness: { number: 3, type: STRING, presence: "omitempty" },
  },
};

const apiResourceDiscoverySchema: MessageSchema = {
  name: "io.k8s.api.apidiscovery.v2.APIResourceDiscovery",
  fields: {
    resource: { number: 1, type: STRING, presence: "always" },
    responseKind: { number: 2, type: message(() => groupVersionKindSchema), presence: "optional" },
    scope: { number: 3, type: STRING, presence: "always" },
    singularResource: { number: 4, type: STRING, presence: "always" },
    verbs: { number: 5, type: list(STRING), presence: "always" },
    shortNames: { number: 6, type: list(STRING), presence: "omitempty" },
    categories: { number: 7, type: list(STRING), presence: "omitempty" },
    subresources: { number: 8, type: list(message(() => apiSubresourceDiscoverySchema)), presence: "omitempty" },
  },
};

const apiSubresourceDiscoverySchema: MessageSchema = {
  name: "io.k8s.api.apidiscovery.v2.APISubresourceDiscovery",
  fields: {
    subresource: { number: 1, type: STRING, presence: "always" },
    responseKind: { number: 2, type: message(() => groupVersionKindSchema), presence: "optional" },
    acceptedTypes: { number: 3, type: list(message(() => groupVersionKindSchema)), presence: "omitempty" },
    verbs: { number: 4, type: list(STRING), presence: "always" },
  },
};

const groupVersionKindSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionKind",
  fields: {
    group: { number: 1, type: STRING, presence: "always" },
    version: { number: 2, type: STRING, presence: "always" },
    kind: { number: 3, type: STRING, presence: "always" },
  },
};
