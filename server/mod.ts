/**
 * The control-plane side of TLS bootstrapping: an API server and the storage of its objects.
 *
 * - `startServer` runs the API over TLS; `createApp` is the same without a listener, for your own server.
 * - `createMemoryStorage` and `openSqliteStorage` are the two storages.
 * - The controllers, which work on the objects of this server or any other, are in `@tlsboot/tlsboot/controllers`.
 *
 * Clock, randomness and logger are passed in; `createSystemPorts` of `@tlsboot/tlsboot` returns the system's.
 *
 * @example A server in memory, called from inside the process
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSystemPorts } from "@tlsboot/tlsboot";
 * import { createAuthority, encodePem, generatePrivateKey, issueCertificate } from "@tlsboot/tlsboot/core";
 * import { createMemoryStorage, startServer } from "@tlsboot/tlsboot/server";
 *
 * const { clock, random, logger } = createSystemPorts();
 *
 * // A CA, and a serving certificate from it.
 * const notBefore = clock.now();
 * const notAfter = new Date(notBefore.getTime() + 3_600_000);
 * const validity = { notBefore, notAfter };
 * const caKey = await generatePrivateKey("ecdsa-p256");
 * const ca = await createAuthority({ commonName: "ca", ...validity, key: caKey, serial: random.bytes(16) });
 * const key = await generatePrivateKey("ecdsa-p256");
 * const certificate = await issueCertificate({
 *   subject: { commonName: "server" },
 *   publicKeyDer: key.publicKeyDer(),
 *   dnsNames: ["localhost"],
 *   ipAddresses: ["127.0.0.1"],
 *   emailAddresses: [],
 *   uris: [],
 *   ...validity,
 *   usages: ["digital signature", "server auth"],
 *   isCa: false,
 * }, ca, random.bytes(16));
 *
 * await using storage = createMemoryStorage({ clock });
 * await using server = await startServer({
 *   storage,
 *   clock,
 *   random,
 *   logger,
 *   bindAddress: "127.0.0.1",
 *   port: 0,
 *   serving: { certificatePem: encodePem("CERTIFICATE", certificate), keyPem: key.toPem() },
 *   clientCaPem: ca.certificatePem,
 *   tokenFile: undefined,
 *   bootstrapTokens: true,
 *   anonymous: true,
 *   audit: undefined,
 *   version: { gitVersion: "v1.37.2" },
 *   objects: [],
 * });
 * assert(server.port > 0);
 *
 * // In-process users are authorized like all others.
 * const transport = server.transportFor({ username: "jane", uid: "", groups: [], extra: {} }, "example");
 * const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
 * const answer = await transport.send({ method: "GET", path, headers: {} }, AbortSignal.timeout(5_000));
 * assert.equal(answer.status, 403);
 * ```
 *
 * @module
 */

// The server, and its parts for your own server.
export type { AttestationOptions, ExpectedMachines, TokenCluster } from "./attestation/node_attestations.ts";
export { type Server, type ServerOptions, type ServiceAccountOptions, startServer } from "./server.ts";
export { type App, type AppDeps, createApp } from "./app.ts";
export {
  createFlowControl,
  type FlowControl,
  type FlowControlOptions,
  type LevelFigures,
  type LevelName,
  type Place,
  type RejectReason,
  type Seat,
} from "./flowcontrol/flow_control.ts";
export type { GuardLimits } from "./connections/connection_guard.ts";
export { createLoopbackTransport, fromRequest, toResponse } from "./loopback.ts";
export type { Answer, AnswerBody, AnswerHeaders, AnswerStream } from "./http/answer.ts";
export type { Incoming, RequestConnection } from "./http/exchange.ts";
export type { ServingPair } from "./connections/listener.ts";
export type {
  Authenticator,
  AuthnRequest,
  AuthnResult,
  MethodResult,
  PeerCertificate,
  TokenAuthenticator,
} from "./authn/authentication.ts";
export type { AuditCounts, AuditOptions, AuditSink } from "./http/audit.ts";
export type { HealthCheck } from "./http/health.ts";
export type { DiscoverableIssuer, PublishedCrls } from "./http/published_documents.ts";
export { createMetrics, type Inflight, type Metrics, type ObservedRequest } from "./metrics/api_requests.ts";
export type { WatchedResource } from "./http/watch_handler.ts";
export { createMetricsRegistry, type MetricsRegistry } from "./metrics/registry.ts";
export { type ControllerMetrics, createControllerMetrics } from "./metrics/controllers.ts";
export type { RequestInfo } from "./http/request_info.ts";
export type { Served } from "./http/resource_handler.ts";
export { type AuthenticatorDeps, type BootstrapTokenDeps, createAuthenticator } from "./authn/authenticator.ts";
export { type Authorizer, createAuthorizer, createRbacSource, type RbacSource } from "./authz/authorizer.ts";
export {
  type BootstrapObject,
  createDefaultRbacObjects,
  createRbacObject,
  createSystemNamespaces,
  type ReconcileDeps,
  reconcileObjects,
} from "./bootstrap_objects.ts";
export { createAdmission, createDefaultPlugins } from "./admission/admission.ts";
export type {
  Admission,
  AdmissionPlugin,
  AdmissionRequest,
  MutatingRequest,
  Mutation,
  Refusal,
  RegistryDeps,
  RegistryStorage,
} from "./registry/registry.ts";
export type {
  Beginning,
  Cell,
  Column,
  ColumnDefinition,
  CommitContext,
  Conversion,
  DeletionRequest,
  DeletionRules,
  GuardedRequest,
  PostContext,
  PostedSubresource,
  Resource,
  Review,
  ReviewContext,
  StoredResource,
  Strategy,
  Subresource,
  UpdateStrategy,
  WriteContext,
} from "./registry/resource.ts";
export { createResources, type ResourcesDeps } from "./registry/resources.ts";
export { createReviews, type ReviewDeps } from "./registry/reviews.ts";

// Storages.
export {
  AlreadyExistsError,
  CompactedError,
  RevisionConflictError,
  type Storage,
  type StorageEvent,
  type StorageListOptions,
  type StoragePage,
  type StorageWatch,
  type Stored,
  type Write,
  WriteRefusedError,
} from "./storage/storage.ts";
export {
  createMemoryStorage,
  type MemoryStorageDeps,
  type StorageLimits,
  type StorageTimes,
} from "./storage/memory/journaled_storage.ts";
export type { JournalObserver } from "./storage/sqlite/journal.ts";
export { openSqliteStorage, type SqliteStorageDeps } from "./storage/sqlite/sqlite_storage.ts";
export type { StoredValues } from "./storage/etcd/contents.ts";
export type { RbacObjects } from "../core/rbac/evaluate.ts";
export type { RegisterHead } from "../core/register/record.ts";
export type { ReconcilePlan } from "../core/rbac/reconcile.ts";
export type { SigningRequestLimits } from "./admission/certificates.ts";
export type { NodeRecovery, NodeRecoveryLimits } from "./authn/node_recovery.ts";
export type { Register } from "./register/register.ts";
export type { Revocations } from "./revocation/revocations.ts";
export type { LastSeal, NewestCertificate, RegisterIndex, UnidentifiedCertificate } from "./register/index.ts";
export type { RevocationResourceDeps } from "./registry/tlsboot_v1alpha1.ts";
