/**
 * Every kind that tlsboot knows, each described once. JSON, YAML, protobuf, strict decoding, OpenAPI and merge rules are
 * derived from these descriptions, so that a new field is one new entry.
 */
import type { Kind } from "../schema.ts";
import * as authentication from "./authentication_v1.ts";
import * as authorization from "./authorization_v1.ts";
import * as certificates from "./certificates_v1.ts";
import * as core from "./core_v1.ts";
import * as events from "./events_v1.ts";
import * as attestation from "./node_attestation.ts";
import * as nodes from "./nodes.ts";
import * as rbac from "./rbac_v1.ts";
import * as tlsboot from "./tlsboot_v1alpha1.ts";

export * from "./authentication_v1.ts";
export * from "./authorization_v1.ts";
export * from "./certificates_v1.ts";
export * from "./core_v1.ts";
export * from "./discovery.ts";
export * from "./events_v1.ts";
export * from "./meta_v1.ts";
export * from "./node_attestation.ts";
export * from "./nodes.ts";
export * from "./rbac_v1.ts";
export * from "./tlsboot_v1alpha1.ts";

/** All kinds, in the order of discovery: the core group first, then by group. */
export const ALL_KINDS: readonly Kind[] = [
  core.configMapKind,
  core.eventKind,
  core.namespaceKind,
  nodes.nodeKind,
  core.secretKind,
  core.serviceAccountKind,
  core.serviceKind,
  certificates.certificateSigningRequestKind,
  certificates.clusterTrustBundleKind,
  certificates.podCertificateRequestKind,
  nodes.csiNodeKind,
  rbac.roleKind,
  rbac.clusterRoleKind,
  rbac.roleBindingKind,
  rbac.clusterRoleBindingKind,
  nodes.leaseKind,
  authorization.subjectAccessReviewKind,
  authorization.selfSubjectAccessReviewKind,
  authorization.localSubjectAccessReviewKind,
  authorization.selfSubjectRulesReviewKind,
  authentication.selfSubjectReviewKind,
  authentication.tokenRequestKind,
  authentication.tokenReviewKind,
  events.eventV1Kind,
  tlsboot.issuedCertificateKind,
  tlsboot.requestRecordKind,
  tlsboot.revocationKind,
  tlsboot.caRotationKind,
  tlsboot.trustReportKind,
  attestation.nodeAttestationKind,
];

const byIdentity = new Map(ALL_KINDS.map((kind) => [`${kind.group}/${kind.version}/${kind.kind}`, kind]));

/** Finds the kind with this group (empty for core), version and name. */
export function findKind(group: string, version: string, kindName: string): Kind | undefined {
  return byIdentity.get(`${group}/${version}/${kindName}`);
}
