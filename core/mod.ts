/**
 * The decisions of TLS bootstrapping, as pure functions over typed values.
 *
 * Nothing here reads a clock, a file or the network: every input of a function is an argument, and clock, randomness
 * and the API are passed in as ports (`Clock`, `Random`, `ObjectStore`). The same functions run in `tlsboot`, in your
 * controller and in a test.
 *
 * Where to look:
 *
 * - CSRs: `CertificateSigningRequest`, `parseRequest`, `getCsrPhase`, `validateCsrCreate`
 * - approval: `decideRequest`, `parsePolicy`, `evaluatePolicies`, `withApproval`, `withDenial`
 * - signing: `BUILTIN_SIGNERS`, `createCustomProfile`, `planCertificate`, `issueCertificate`
 * - bootstrapping a machine: `generateBootstrapToken`, `createTokenSecret`, `encodeKubeconfig`, `decideNextStep` (renewal)
 * - keys and certificates: `generatePrivateKey`, `createCertificationRequest`, `createAuthority`, `parseCertificate`
 *
 * Functions whose refusal callers must handle return a `Result` or a verdict. Failures throw an `AppError` with a code.
 *
 * @example The request of a kubelet, its approval and the plan of its certificate
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   BUILTIN_SIGNERS,
 *   type CertificateSigningRequest,
 *   createCertificationRequest,
 *   decideRequest,
 *   encodeBase64,
 *   encodePem,
 *   generatePrivateKey,
 *   KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
 *   parseRequest,
 *   planCertificate,
 *   withApproval,
 * } from "@tlsboot/tlsboot/core";
 *
 * const key = await generatePrivateKey("ecdsa-p256");
 * const subject = { commonName: "system:node:n1", organizations: ["system:nodes"] };
 * const pem = encodePem("CERTIFICATE REQUEST", createCertificationRequest({ subject }, key));
 * const csr: CertificateSigningRequest = {
 *   apiVersion: "certificates.k8s.io/v1",
 *   kind: "CertificateSigningRequest",
 *   metadata: { name: "n1" },
 *   spec: {
 *     request: encodeBase64(pem),
 *     signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
 *     usages: ["digital signature", "client auth"],
 *     username: "system:bootstrap:abcdef",
 *   },
 *   status: {},
 * };
 *
 * // The decision lists the facts that it still needs.
 * const facts = parseRequest(csr.spec.request);
 * assert(facts.ok);
 * const now = new Date("2026-01-01T00:00:00Z");
 * const question = { csr, request: facts.value, policies: [], inventory: undefined };
 * assert.deepEqual(decideRequest(question, { now }), { kind: "needs", needs: [{ kind: "revocation" }] });
 * const none = { kind: "none" } as const;
 * const permissions = new Map([["nodeclient", { kind: "found", value: true } as const]]);
 * const verdict = decideRequest(question, { now, revocation: none, token: none, certificates: none, permissions });
 * assert(verdict.kind === "approve");
 *
 * // Once approved, the signer plans the certificate from its profile.
 * const approved = withApproval(csr, verdict);
 * assert(approved.ok);
 * const plan = planCertificate({
 *   csr: approved.value,
 *   facts: facts.value,
 *   profile: BUILTIN_SIGNERS.get(KUBE_APISERVER_CLIENT_KUBELET_SIGNER)!,
 *   caNotAfter: new Date("2036-01-01T00:00:00Z"),
 *   signingDurationSeconds: 24 * 3600,
 *   now,
 * });
 * assert(plan.ok);
 * assert.equal(plan.value.subject.commonName, "system:node:n1");
 * assert.equal(plan.value.notAfter.toISOString(), "2026-01-01T23:55:00.000Z");
 * ```
 *
 * @module
 */

// Results, errors, secrets, ports.
export { err, ok, type Result } from "./lib/result.ts";
export { AppError, type AppErrorOptions, type ErrorCode, getErrorMessage, isAppError } from "./errors.ts";
export { type Brand, Secret } from "./lib/brand.ts";
export type {
  AccessReviewer,
  CaKey,
  Clock,
  CsrStore,
  DeletionOptions,
  LeaseStore,
  LogFields,
  Logger,
  ObjectChange,
  ObjectChanges,
  ObjectStore,
  QueueObserver,
  Random,
  SignatureAlgorithm,
  Transport,
  TransportRequest,
  TransportResponse,
} from "./ports.ts";
export { formatDuration, parseDuration } from "./lib/duration.ts";
export { GIT_VERSION, KUBERNETES_VERSION, TLSBOOT_VERSION } from "./version.ts";

// Kubernetes types, in the API's spelling.
export type {
  Condition,
  DeleteOptions,
  KubeList,
  KubeObject,
  LabelSelector,
  ListMeta,
  ManagedFieldsEntry,
  ObjectMeta,
  OwnerReference,
  SelectorRequirement,
  Status,
  StatusCause,
  StatusDetails,
} from "./kube/meta.ts";
export {
  type CertificateSigningRequest,
  type CertificateSigningRequestCondition,
  type CertificateSigningRequestSpec,
  type CertificateSigningRequestStatus,
  type ClusterTrustBundle,
  type ClusterTrustBundleSpec,
  type PodCertificateRequest,
  type PodCertificateRequestSpec,
  type PodCertificateRequestStatus,
} from "./kube/kinds/certificates_v1.ts";
export {
  KEY_USAGES,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
  LEGACY_UNKNOWN_SIGNER,
} from "./kube/kinds/constants.ts";
export type {
  NonResourceAttributesSpec,
  NonResourceRule,
  ResourceAttributesSpec,
  ResourceRule,
  SelectorAttributes,
  SubjectAccessReviewSpec,
  SubjectRulesReviewStatus,
} from "./kube/kinds/authorization_v1.ts";
export type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from "./kube/kinds/rbac_v1.ts";
export type { Attributes, Decision, PathAttributes, ResourceAttributes } from "./rbac/attributes.ts";
export type { FieldRequirement } from "./kube/selectors.ts";
export type { Lease, LeaseSpec } from "./kube/kinds/nodes.ts";
export type { Event, ObjectReference, SecretObject } from "./kube/kinds/core_v1.ts";
export type { EventV1 } from "./kube/kinds/events_v1.ts";
export { type FieldError, type FieldErrorType, formatFieldError } from "./kube/status/field_error.ts";
export type { UserInfo } from "./kube/user.ts";
export type { FieldSchema, FieldType, Kind, MergeRules, MessageSchema, ObjectSchema, Presence } from "./kube/schema.ts";
export { certificateSigningRequestKind, findKind, leaseKind, secretKind } from "./kube/kinds/mod.ts";

// Kubeconfigs.
export {
  encodeKubeconfig,
  type Kubeconfig,
  type KubeconfigCluster,
  type KubeconfigContext,
  type KubeconfigExtension,
  type KubeconfigUser,
  parseKubeconfig,
  type PemSource,
  resolveContext,
  type ResolvedCluster,
} from "./kube/kubeconfig/kubeconfig.ts";

// CSRs and their phases.
export { type ParsedRequest, parseRequest, parseVerifiedRequest, verifyRequest } from "./request/parse_request.ts";
export {
  type CsrPhase,
  findCondition,
  getConditions,
  getCsrPhase,
  hasCertificate,
  isApproved,
  isDenied,
  isFailed,
} from "./request/phase.ts";
export { type CsrEndpoint, validateCsrCreate, validateCsrUpdate } from "./request/validate.ts";
export { findCertificateFault } from "./request/issued_certificate.ts";

// Requesting a certificate, and checking the result.
export { defaultUsages } from "./pki/x509/usages.ts";
export type { ExistingCredentials, RenewalOptions } from "./request/issued_certificate.ts";

// Approval.
export { type Recognizer, RECOGNIZERS } from "./approval/recognizers.ts";
export {
  type DecisionRefusal,
  type DecisionText,
  listPastApprovals,
  type PastApproval,
  withApproval,
  withDenial,
} from "./approval/conditions.ts";

// Policies for requests other than those of kubelet clients.
export {
  type ApprovalRule,
  type AttestationRequirement,
  BUILTIN_POLICIES,
  type EvidenceSettings,
  type HoursRequirement,
  type KeyRequirement,
  type LifetimeRequirement,
  type NamesRequirement,
  type Policy,
  type RateRequirement,
  type Requirements,
  type RuleMatch,
  type SubjectRequirement,
  type UsagesRequirement,
  type Weekday,
  WEEKDAYS,
} from "./approval/policy.ts";
export type { Check, CheckKind, PolicyInput } from "./approval/rules/checks.ts";
export {
  decideRequest,
  decideWith,
  type Known,
  type Need,
  type Question,
  type StageName,
  type TokenBinding,
  type Verdict,
  type VerdictEffects,
} from "./approval/decide_request.ts";
export type { Hold } from "./approval/evidence/claims.ts";
export { evaluatePolicies, type PolicyVerdict, type RuleTrace } from "./approval/rules/evaluate_policies.ts";
export { type Inventory, type InventoryNode, type NodeNames, parseInventory } from "./approval/evidence/inventory.ts";
export type { HashedHost } from "./attestation/known_hosts.ts";
export type { ExpectedProofs, ProofKind, ProvenIdentity, TokenProof } from "./attestation/proof.ts";
export type { Endorsement, ProvenKey, SealingKey } from "./attestation/exchange.ts";
export type { EndorsementAuthority } from "./attestation/tpm_proof.ts";
export {
  findHeldNames,
  listReportedNames,
  type Lookup,
  type NameClaim,
  type NodeCertificate,
  type OwnershipEvidence,
  type ReportingNode,
  splitHosts,
} from "./approval/evidence/ownership.ts";
export { parsePolicy } from "./approval/parse_policy.ts";

// Signing.
export {
  BUILTIN_SIGNERS,
  type ClientTrust,
  planCertificate,
  type PlanInput,
  type ProfileLifetime,
  type ProfileRule,
  type RequestPart,
  type SigningProfile,
  type SigningRefusal,
} from "./signing/profile.ts";
export { createCustomProfile } from "./signing/custom_profile.ts";
export { parseProfile } from "./signing/profile_file.ts";
export {
  type ExtensionRules,
  type KeyRule,
  type LifetimeRules,
  type NameRules,
  type PodRules,
  type PolicyExtension,
  type ProfileSpec,
  type RawExtension,
  SUBJECT_FIELDS,
  type SubjectField,
  type SubjectRules,
  type UsageRules,
  type ValueRule,
} from "./signing/profile_spec.ts";
export type { ExtensionFacts, PlannedExtension } from "./pki/x509/certificate_extensions.ts";

// Audit policies, and the times after which CSRs are deleted.
export {
  AUDIT_LEVELS,
  AUDIT_STAGES,
  type AuditDecision,
  type AuditLevel,
  type AuditPolicy,
  type AuditResources,
  type AuditRule,
  type AuditStage,
  DEFAULT_AUDIT_POLICY,
  parseAuditPolicy,
} from "./audit/policy.ts";
export type { CleaningTimes } from "./request/phase.ts";

// Bootstrapping and renewal.
export {
  type BootstrapToken,
  createTokenSecret,
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
  type TokenSecretOptions,
} from "./token/token_secret.ts";
export type { PublishedCluster } from "./token/cluster_info.ts";
export { parseTokenFile, type TokenFile, type TokenFileEntry } from "./token/token_file.ts";
export {
  createServingTemplate,
  decideServingNames,
  getKubeletUsages,
  type HostFacts,
  type HostInterface,
  type KubeletRequest,
  type NodeName,
  parseNodeName,
  toNodeSubject,
} from "./machine/node_name.ts";
export type { StatusError } from "./kube/status/status.ts";
export type { ServingNames } from "./pki/authority/serving_certificate.ts";
export { type CredentialPair, parseCertificateChain, parseCredentialPair } from "./machine/credential_pair.ts";
export {
  applyFailure,
  applyRenewal,
  applyRetirement,
  applyTemplateChange,
  type CaRetirement,
  type CertificateTemplate,
  decideNextStep,
  decideRenewalDeadline,
  findCaRetirement,
  type RenewableCertificate,
  type RenewalState,
  type RenewalStep,
  satisfiesTemplate,
  startRenewal,
} from "./machine/renewal_schedule.ts";

// Keys, requests, certificates, CAs.
export {
  createCaKey,
  findKeyAlgorithm,
  generatePrivateKey,
  KEY_ALGORITHMS,
  type KeyAlgorithm,
  ML_DSA_KEY_ALGORITHMS,
  parsePrivateKey,
  type PrivateKey,
  type PrivateKeyAlgorithm,
  type PublicKeyDescription,
  publicKeysEqual,
} from "./pki/keys/keys.ts";
export { decodeBase64, encodeBase64 } from "./lib/encodings.ts";
export { encodePem, findPemBlock, parsePemBlocks, type PemBlock } from "./pki/asn1/pem.ts";
export {
  parseTokenKeys,
  parseTokenSigner,
  type TokenAlgorithm,
  type TokenKey,
  type TokenSigner,
} from "./service_accounts/jwt.ts";
export type { DistinguishedName, OtherAttribute, SubjectFields } from "./pki/x509/names.ts";
export type { CurveName, PublicKeyAlgorithm, PublicKeyFacts } from "./pki/keys/public_key.ts";
export type { Bytes } from "./pki/asn1/der.ts";
export type { HashName, SignatureAlgorithmFacts } from "./pki/keys/signature.ts";
export type { KeyAlgorithmOptions, MlDsaName } from "./pki/keys/key_names.ts";
export { hasMlDsa } from "./pki/keys/ml_dsa.ts";
export type { NameConstraints, NameSubtrees } from "./pki/x509/name_constraints.ts";
export type { AlternativeNames } from "./pki/x509/subject_alternative_names.ts";
export {
  createCertificationRequest,
  parseCertificationRequest,
  type RequestedExtension,
  type RequestFacts,
  type RequestOptions,
  verifyRequestSignature,
} from "./pki/x509/pkcs10.ts";
export {
  type CertificateFacts,
  parseCertificate,
  parseCertificates,
  verifyCertificateSignature,
} from "./pki/x509/certificate.ts";
export { type CertificatePlan, issueCertificate, type IssuingAuthority } from "./pki/authority/issue.ts";
export { type Authority, type AuthorityOptions, createAuthority, parseAuthority } from "./pki/authority/authority.ts";
export { type DecryptionFault, decryptPrivateKey, encryptPrivateKey } from "./pki/keys/encrypted_key.ts";
export { parseCaBundle } from "./pki/x509/ca_bundle.ts";
export { parsePublicKeyPin, type PublicKeyPin, publicKeyPin } from "./pki/keys/key_names.ts";
export { type ChainOptions, verifyChain } from "./pki/x509/chain.ts";
export type { TokenRefusal } from "./token/bound_token.ts";
export type {
  CertificateRevocation,
  IssuedCertificate,
  IssuedCertificateApproval,
  IssuedCertificateRequester,
  IssuedCertificateSource,
  IssuedCertificateSpec,
  IssuedCertificateStatus,
  NodeRecoveryBinding,
  RecordedIdentity,
  RegisterSeal,
  RemovedRecords,
  Revocation,
  RevocationSpec,
  RevocationStatus,
} from "./kube/kinds/tlsboot_v1alpha1.ts";
export type { HttpProxy } from "./lib/proxy.ts";
export type { RecoveryRefusal } from "./machine/node_recovery.ts";
export type { IdentifiedUser } from "./register/certificate_user.ts";
export type { CertificateDescription } from "./register/record.ts";
export type {
  FindRecorded,
  PresentedCertificate,
  RecordedCertificate,
  RecordedCertificates,
  RevocableRequest,
  RevocationIndex,
  RevocationMatch,
} from "./revocation/revocation_index.ts";
export type { REVOCATION_TARGET_KINDS, RevocationTargetKind } from "./revocation/revocation.ts";
