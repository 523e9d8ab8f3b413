/** What discovery and OpenAPI know of everything that is served. */
import type { ServedKind } from "../../core/kube/openapi/mod.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Served } from "./resource_handler.ts";

/** A resource with its verbs. */
export interface DiscoveredResource extends ServedKind {
  /** The version that the storage holds; reviews are not stored. */
  readonly storedAs: Kind | undefined;
}

/** A group in one version, with its resources by name. */
export interface DiscoveredGroup {
  /** Empty for core. */
  readonly group: string;
  readonly version: string;
  readonly resources: readonly DiscoveredResource[];
}

/** kube-apiserver's order of groups is by priority; these are its priorities for what is served here. */
const GROUP_ORDER: readonly string[] = [
  "",
  "events.k8s.io",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "certificates.k8s.io",
  "rbac.authorization.k8s.io",
  "storage.k8s.io",
  "coordination.k8s.io",
];

/** Everything that is served, by group. */
export function discoveredGroups({ resources, reviews }: Served): readonly DiscoveredGroup[] {
  const all: readonly DiscoveredResource[] = [
    ...resources.filter(({ isHidden }) => isHidden !== true).map((
      { kind, verbs, subresources, deletion, conversion },
    ) => ({
      kind,
      verbs,
      subresources: [...subresources].sort((a, b) => a.name < b.name ? -1 : 1),
      // Namespaces answer with themselves, but kube-apiserver's documents do not say so.
      deleteAnswersObject: deletion?.answersObject === true && deletion.begin === undefined,
      storedAs: conversion === undefined
        ? kind
        : resources.find((other) => other.kind.kind === kind.kind && other.conversion === undefined)?.kind,
    })),
    ...reviews.map(({ kind }) => ({ kind, verbs: ["create"], subresources: [], storedAs: undefined })),
  ];
  return GROUP_ORDER.flatMap((group) => {
    const members = all.filter(({ kind }) => kind.group === group);
    const version = members[0]?.kind.version;
    if (version === undefined) return [];
    return [{ group, version, resources: members.sort((a, b) => a.kind.plural < b.kind.plural ? -1 : 1) }];
  });
}
