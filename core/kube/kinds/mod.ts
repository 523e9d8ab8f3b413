/**
 * Every kind that tlsboot knows, each described once. JSON, YAML, protobuf, strict decoding, OpenAPI and merge rules
 * follow from these descriptions, so that a new field is one new entry.
 */
import type { Kind } from "../schema.ts";
import { certificateSigningRequestKind, clusterTrustBundleKind, podCertificateRequestKind } from "./certificates_v1.ts";
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from "./rbac_v1.ts";
import { configMapKind, eventKind, namespaceKind, secretKind, serviceAccountKind } from "./core_v1.ts";
import { csiNodeKind } from "./storage_v1.ts";
import { eventV1Kind } from "./events_v1.ts";
import { leaseKind } from "./coordination_v1.ts";
import {
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
} from "./authorization_v1.ts";
import {
  caRotationKind,
  issuedCertificateKind,
  requestRecordKind,
  revocationKind,
  trustReportKind,
} from "./tlsboot_v1alpha1.ts";
import { nodeKind } from "./nodes.ts";
import { serviceKind } from "./services.ts";
import { selfSubjectReviewKind, tokenRequestKind, tokenReviewKind } from "./authentication_v1.ts";

export * from "./authentication_v1.ts";
export * from "./authorization_v1.ts";
export * from "./certificates_v1.ts";
export * from "./coordination_v1.ts";
export * from "./core_v1.ts";
export * from "./discovery_v1.ts";
export * from "./events_v1.ts";
export * from "./meta_v1.ts";
export * from "./nodes.ts";
export * from "./pods.ts";
export * from "./rbac_v1.ts";
export * from "./services.ts";
export * from "./storage_v1.ts";
export * from "./tlsboot_v1alpha1.ts";

/** All kinds, in the order of discovery: the core group first, then by group. */
export const ALL_KINDS: readonly Kind[] = [
  configMapKind,
  eventKind,
  namespaceKind,
  nodeKind,
  secretKind,
  serviceAccountKind,
  serviceKind,
  certificateSigningRequestKind,
  clusterTrustBundleKind,
  podCertificateRequestKind,
  csiNodeKind,
  roleKind,
  clusterRoleKind,
  roleBindingKind,
  clusterRoleBindingKind,
  leaseKind,
  subjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  localSubjectAccessReviewKind,
  selfSubjectRulesReviewKind,
  selfSubjectReviewKind,
  tokenRequestKind,
  tokenReviewKind,
  eventV1Kind,
  issuedCertificateKind,
  requestRecordKind,
  revocationKind,
  caRotationKind,
  trustReportKind,
];

const byIdentity = new Map(ALL_KINDS.map((kind) => [`${kind.group}/${kind.version}/${kind.kind}`, kind]));

/** Finds the kind with this group (empty for core), version and name. */
export function findKind(group: string, version: string, kindName: string): Kind | undefined {
  return byIdentity.get(`${group}/${version}/${kindName}`);
}
