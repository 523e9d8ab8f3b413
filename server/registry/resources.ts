/** Every stored resource that is served, in one list. */
import type { Logger } from "../../core/ports.ts";
import type { Authorizer, RbacSource } from "../authz/authorizer.ts";
import type { KeyAlgorithmOptions } from "../../core/pki/keys/key_names.ts";
import { ABSENT_RESOURCES } from "./absent_kinds.ts";
import {
  caRotations,
  createRevocationResource,
  issuedCertificates,
  requestRecords,
  type RevocationResourceDeps,
  REVOCATIONS,
  trustReports,
} from "./tlsboot_v1alpha1.ts";
import {
  certificateSigningRequests,
  clusterTrustBundles,
  createCsrResource,
  createPodCertificateRequests,
  POD_CERTIFICATE_REQUESTS,
} from "./certificates_v1.ts";
import { configMaps, createSecretResource, secrets } from "./secrets.ts";
import { csiNodes, leases, nodes } from "./nodes.ts";
import { events, eventsV1 } from "./events.ts";
import { namespaces, services } from "./core_v1.ts";
import { createRbacResources, RBAC_KINDS } from "./rbac.ts";
import { type PostedSubresource, type Resource, STANDARD_VERBS, type StoredResource } from "./resource.ts";
import { serviceAccounts } from "./serviceaccounts.ts";

/** The resources that are the same in every server. */
const FIXED_RESOURCES = [
  caRotations,
  clusterTrustBundles,
  configMaps,
  csiNodes,
  events,
  eventsV1,
  issuedCertificates,
  leases,
  namespaces,
  nodes,
  requestRecords,
  services,
  trustReports,
] as readonly Resource[];

/**
 * The resources of a server without options, which need no dependencies. A strategy gets only objects of its own kind,
 * because the registry decodes by the description of the resource.
 */
export const PLAIN_RESOURCES = [
  ...FIXED_RESOURCES,
  certificateSigningRequests,
  secrets,
  serviceAccounts,
] as readonly Resource[];

/** A resource without its rules: where its objects are stored, and its verbs. */
export type DescribedResource = StoredResource & Pick<Resource, "verbs">;

/** Every stored resource, for code that needs only the kinds in a store. */
export const STORED_RESOURCES: readonly DescribedResource[] = [
  ...PLAIN_RESOURCES,
  POD_CERTIFICATE_REQUESTS,
  REVOCATIONS,
  ...RBAC_KINDS.map((kind) => ({ kind, verbs: STANDARD_VERBS })),
];

/** The dependencies of the resources that need any. */
export interface ResourcesDeps extends RevocationResourceDeps, KeyAlgorithmOptions {
  readonly authorizer: Authorizer;
  readonly logger: Logger;
  readonly rbac: RbacSource;
  /** Makes the writes of requests; by default they are written without records. */
  readonly commitRequest?: Resource["commit"];
  /** Makes the writes of requests for pods; by default they are written without records too. */
  readonly commitPodRequest?: Resource["commit"];
  /** The tokens of service accounts; absent where none are issued. */
  readonly serviceAccountToken?: PostedSubresource | undefined;
}

/** Creates all resources that are served. The RBAC resources call the authorizer before they grant anything. */
export function createResources(deps: ResourcesDeps): readonly Resource[] {
  const { commitRequest, commitPodRequest, serviceAccountToken } = deps;
  return [
    ...FIXED_RESOURCES,
    { ...createCsrResource(deps) as Resource, commit: commitRequest },
    { ...createPodCertificateRequests(deps) as Resource, commit: commitPodRequest },
    createSecretResource(deps) as Resource,
    {
      ...serviceAccounts as Resource,
      postedSubresources: serviceAccountToken === undefined ? [] : [serviceAccountToken],
    },
    ...createRbacResources(deps) as readonly Resource[],
    createRevocationResource(deps) as Resource,
    ...ABSENT_RESOURCES,
  ];
}
