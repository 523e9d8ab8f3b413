/** The older form of discovery (apimachinery `pkg/apis/meta/v1/types.go`). */
import type { FieldSchema, MessageSchema } from "../schema.ts";
import { BOOL, list, message, STRING } from "./fields.ts";

/** The versions of the core API. */
export const apiVersionsSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions",
  description: "The versions of the core API.",
  fields: {
    versions: {
      number: 1,
      type: list(STRING),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Names of the versions.",
    },
    serverAddressByClientCIDRs: {
      number: 2,
      type: list(message(() => serverAddressByClientCIDRSchema)),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Server address for clients of each network.",
    },
  },
};

const serverAddressByClientCIDRSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.ServerAddressByClientCIDR",
  description: "The address under which clients of a network reach the server.",
  fields: {
    clientCIDR: { number: 1, type: STRING, presence: "always", required: true, description: "Network of the client." },
    serverAddress: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      description: "Host and port of the server.",
    },
  },
};

/** Lists all API groups of the server. */
export const apiGroupListSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList",
  description: "All API groups.",
  fields: {
    groups: {
      number: 1,
      type: list(message(() => apiGroupSchema)),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "The groups.",
    },
  },
};

/** An API group and its versions. */
export const apiGroupSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup",
  description: "An API group and its versions.",
  fields: {
    name: { number: 1, type: STRING, presence: "always", required: true, description: "Name of the group." },
    versions: {
      number: 2,
      type: list(message(() => groupVersionForDiscoverySchema)),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Versions that are served.",
    },
    preferredVersion: {
      number: 3,
      type: message(() => groupVersionForDiscoverySchema),
      presence: "always",
      description: "Version that clients should take.",
    },
    serverAddressByClientCIDRs: {
      number: 4,
      type: list(message(() => serverAddressByClientCIDRSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Server address for clients of each network.",
    },
  },
};

const groupVersionForDiscoverySchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery",
  description: "One version of a group.",
  fields: {
    groupVersion: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "Group and version, as in apiVersion.",
    },
    version: { number: 2, type: STRING, presence: "always", required: true, description: "The version alone." },
  },
};

/** The resources of one group and version. */
export const apiResourceListSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList",
  description: "The resources of one group and version.",
  fields: {
    groupVersion: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "Group and version the list is about.",
    },
    resources: {
      number: 2,
      type: list(message(() => apiResourceSchema)),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "The resources and subresources.",
    },
  },
};

const apiResourceSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIResource",
  description: "A resource or subresource.",
  fields: {
    name: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "Plural name, with the subresource after a slash.",
    },
    singularName: {
      number: 6,
      type: STRING,
      presence: "always",
      required: true,
      description: "Singular name; empty for subresources.",
    },
    namespaced: {
      number: 2,
      type: BOOL,
      presence: "always",
      required: true,
      description: "True when its objects live in namespaces.",
    },
    group: {
      number: 8,
      type: STRING,
      presence: "omitempty",
      description: "Group of the kind where it differs from that of the list.",
    },
    version: {
      number: 9,
      type: STRING,
      presence: "omitempty",
      description: "Version of the kind where it differs from that of the list.",
    },
    kind: { number: 3, type: STRING, presence: "always", required: true, description: "Kind of its objects." },
    verbs: {
      number: 4,
      type: { kind: "list", of: STRING, wrapped: true },
      presence: "always",
      required: true,
      goType: "v1.Verbs",
      description: "Verbs it supports.",
    },
    shortNames: {
      number: 5,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Short names people may type.",
    },
    categories: {
      number: 7,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of resources it belongs to, such as all.",
    },
    storageVersionHash: {
      number: 10,
      type: STRING,
      presence: "omitempty",
      description: "Opaque hash of the version it is stored in.",
    },
  },
};

/** The version of the server and of the version that it emulates (apimachinery `pkg/version/types.go`). */
export const versionInfoSchema: MessageSchema = {
  name: "io.k8s.apimachinery.pkg.version.Info",
  description: "The version of the server.",
  fields: {
    major: versionField("Major version.", true),
    minor: versionField("Minor version.", true),
    emulationMajor: versionField("Major version that is emulated.", false),
    emulationMinor: versionField("Minor version that is emulated.", false),
    minCompatibilityMajor: versionField("Major version of the oldest peer it can work with.", false),
    minCompatibilityMinor: versionField("Minor version of the oldest peer it can work with.", false),
    gitVersion: versionField("The version as people write it.", true),
    gitCommit: versionField("Commit it was built from.", true),
    gitTreeState: versionField("Whether the sources were as committed.", true),
    buildDate: versionField("When it was built.", true),
    goVersion: versionField("Version of Go it was built with.", true),
    compiler: versionField("Compiler it was built with.", true),
    platform: versionField("Operating system and processor.", true),
  },
};

/** Describes a field without a protobuf number: the version is only written as JSON. */
function versionField(description: string, required: boolean): FieldSchema {
  return { number: 0, type: STRING, presence: required ? "always" : "omitempty", required, description };
}
