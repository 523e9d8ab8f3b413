/** Aggregated discovery, `apidiscovery.k8s.io/v2` (staging `k8s.io/api/apidiscovery/v2/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { listMetaSchema, METADATA } from "./meta_v1.ts";
import { always, describeMessages, list, omitempty, optional, STRING } from "./notation.ts";

const { message } = describeMessages("io.k8s.api.apidiscovery.v2");

const groupVersionKind = describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1").message(
  "GroupVersionKind",
  "Names a kind.",
  {
    group: always(1, STRING),
    version: always(2, STRING),
    kind: always(3, STRING),
  },
);

const apiSubresourceDiscovery = message("APISubresourceDiscovery", "A subresource and its verbs.", {
  subresource: always(1, STRING),
  responseKind: optional(2, groupVersionKind),
  acceptedTypes: omitempty(3, list(groupVersionKind)),
  verbs: always(4, list(STRING)),
});

const apiResourceDiscovery = message("APIResourceDiscovery", "A resource, its names and its verbs.", {
  resource: always(1, STRING),
  responseKind: optional(2, groupVersionKind),
  scope: always(3, STRING),
  singularResource: always(4, STRING),
  verbs: always(5, list(STRING)),
  shortNames: omitempty(6, list(STRING)),
  categories: omitempty(7, list(STRING)),
  subresources: omitempty(8, list(apiSubresourceDiscovery)),
});

const apiVersionDiscovery = message("APIVersionDiscovery", "The resources of one version.", {
  version: always(1, STRING),
  resources: omitempty(2, list(apiResourceDiscovery)),
  freshness: omitempty(3, STRING),
});

const apiGroupDiscovery = message("APIGroupDiscovery", "The versions of one group.", {
  metadata: METADATA,
  versions: omitempty(2, list(apiVersionDiscovery)),
});

export const apiGroupDiscoveryListSchema: MessageSchema = message(
  "APIGroupDiscoveryList",
  "Everything that is served, group by group.",
  {
    metadata: always(1, listMetaSchema),
    items: always(2, list(apiGroupDiscovery)),
  },
);
