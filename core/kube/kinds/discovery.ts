/**
 * Discovery: aggregated as `apidiscovery.k8s.io/v2` (staging `k8s.io/api/apidiscovery/v2/types.go`), and in the older form
 * of one document for each group and version (apimachinery `pkg/apis/meta/v1/types.go`).
 */
import type { MessageSchema } from "../schema.ts";
import {
  always,
  atomic,
  BOOL,
  describeMessages,
  list,
  named,
  omitempty,
  optional,
  required,
  STRING,
} from "./notation.ts";
import { listMetaSchema, METADATA } from "./meta_v1.ts";

const { message } = describeMessages("io.k8s.apimachinery.pkg.apis.meta.v1");

const serverAddress = message("ServerAddressByClientCIDR", "The server's address for clients of a network.", {
  clientCIDR: required(1, STRING, "Network of the client."),
  serverAddress: required(2, STRING, "Host and port of the server."),
});

export const apiVersionsSchema: MessageSchema = message("APIVersions", "The versions of the core API.", {
  versions: required(1, atomic(STRING), "Names of the versions."),
  serverAddressByClientCIDRs: required(2, atomic(serverAddress), "Server address for clients of each network."),
});

const groupVersionForDiscovery = message("GroupVersionForDiscovery", "One version of a group.", {
  groupVersion: required(1, STRING, "Group and version, as in apiVersion."),
  version: required(2, STRING, "The version alone."),
});

export const apiGroupSchema: MessageSchema = message("APIGroup", "An API group and its versions.", {
  name: required(1, STRING, "Name of the group."),
  versions: required(2, atomic(groupVersionForDiscovery), "Versions that are served."),
  preferredVersion: always(3, groupVersionForDiscovery, "Version that clients should use."),
  serverAddressByClientCIDRs: omitempty(4, atomic(serverAddress), "Server address for clients of each network."),
});

/** Lists all API groups of the server. */
export const apiGroupListSchema: MessageSchema = message("APIGroupList", "All API groups.", {
  groups: required(1, atomic(apiGroupSchema), "The groups."),
});

const apiResource = message("APIResource", "A resource or subresource.", {
  name: required(1, STRING, "Plural name, with the subresource after a slash."),
  singularName: required(6, STRING, "Singular name; empty for subresources."),
  namespaced: required(2, BOOL, "True when its objects live in namespaces."),
  group: omitempty(8, STRING, "Group of the kind where it differs from that of the list."),
  version: omitempty(9, STRING, "Version of the kind where it differs from that of the list."),
  kind: required(3, STRING, "Kind of its objects."),
  verbs: required(4, named("v1.Verbs", { kind: "list", of: STRING, wrapped: true }), "Verbs it supports."),
  shortNames: omitempty(5, atomic(STRING), "Short names that people may type."),
  categories: omitempty(7, atomic(STRING), "Categories it belongs to, such as all."),
  storageVersionHash: omitempty(10, STRING, "Opaque hash of the version it is stored in."),
});

export const apiResourceListSchema: MessageSchema = message("APIResourceList", "The resources of one group version.", {
  groupVersion: required(1, STRING, "Group and version of the resources."),
  resources: required(2, atomic(apiResource), "The resources and subresources."),
});

/**
 * The version of the server and of the version that it emulates (apimachinery `pkg/version/types.go`). Its fields
 * have no number, because it is only written as JSON.
 */
export const versionInfoSchema: MessageSchema = describeMessages("io.k8s.apimachinery.pkg.version").message(
  "Info",
  "The version of the server.",
  {
    major: required(0, STRING, "Major version."),
    minor: required(0, STRING, "Minor version."),
    emulationMajor: omitempty(0, STRING, "Major version that is emulated."),
    emulationMinor: omitempty(0, STRING, "Minor version that is emulated."),
    minCompatibilityMajor: omitempty(0, STRING, "Major version of the oldest peer it can work with."),
    minCompatibilityMinor: omitempty(0, STRING, "Minor version of the oldest peer it can work with."),
    gitVersion: required(0, STRING, "The version as people write it."),
    gitCommit: required(0, STRING, "Commit it was built from."),
    gitTreeState: required(0, STRING, "Whether the sources were as committed."),
    buildDate: required(0, STRING, "When it was built."),
    goVersion: required(0, STRING, "Version of Go it was built with."),
    compiler: required(0, STRING, "Compiler it was built with."),
    platform: required(0, STRING, "Operating system and processor."),
  },
);

const { message: aggregated } = describeMessages("io.k8s.api.apidiscovery.v2");

const groupVersionKind = message(
  "GroupVersionKind",
  "A kind with its group and version.",
  {
    group: always(1, STRING),
    version: always(2, STRING),
    kind: always(3, STRING),
  },
);

const apiSubresourceDiscovery = aggregated("APISubresourceDiscovery", "A subresource and its verbs.", {
  subresource: always(1, STRING),
  responseKind: optional(2, groupVersionKind),
  acceptedTypes: omitempty(3, list(groupVersionKind)),
  verbs: always(4, list(STRING)),
});

const apiResourceDiscovery = aggregated("APIResourceDiscovery", "A resource, its names and its verbs.", {
  resource: always(1, STRING),
  responseKind: optional(2, groupVersionKind),
  scope: always(3, STRING),
  singularResource: always(4, STRING),
  verbs: always(5, list(STRING)),
  shortNames: omitempty(6, list(STRING)),
  categories: omitempty(7, list(STRING)),
  subresources: omitempty(8, list(apiSubresourceDiscovery)),
});

const apiVersionDiscovery = aggregated("APIVersionDiscovery", "The resources of one version.", {
  version: always(1, STRING),
  resources: omitempty(2, list(apiResourceDiscovery)),
  freshness: omitempty(3, STRING),
});

const apiGroupDiscovery = aggregated("APIGroupDiscovery", "The versions of one group.", {
  metadata: METADATA,
  versions: omitempty(2, list(apiVersionDiscovery)),
});

export const apiGroupDiscoveryListSchema: MessageSchema = aggregated(
  "APIGroupDiscoveryList",
  "Everything that is served, group by group.",
  {
    metadata: always(1, listMetaSchema),
    items: always(2, list(apiGroupDiscovery)),
  },
);
