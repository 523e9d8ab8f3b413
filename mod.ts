/**
 * tlsboot as a library: Kubernetes TLS bootstrapping from both ends.
 *
 * - `openInstance` runs what `tlsboot up` runs: an API server over a data directory, a signer, an approver.
 * - `startTestServer` starts the same in memory, for the tests of programs that talk to an API server.
 * - `connectToCluster` gives typed access to any Kubernetes API by a kubeconfig.
 * - `bootstrap` obtains the certificate of a machine, as a kubelet does.
 * - `loadAuthority` and `signCertificate` issue certificates without a server.
 *
 * These have defaults for clock, randomness and log. The rest of this entry is what programs need beside them. Every part
 * is in the entry of its room, where its adapters are handed in: `@tlsboot/tlsboot/core` (decisions), `/client` (the node
 * side), `/controllers`, `/server` (the API) and `/cli` (the command line).
 *
 * @example An instance, and a machine that gets its certificate from it
 * ```ts
 * import assert from "node:assert/strict";
 * import { mkdtemp } from "node:fs/promises";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { bootstrap, getCsrPhase, openInstance } from "@tlsboot/tlsboot";
 *
 * const dataDir = await mkdtemp(join(tmpdir(), "tlsboot-"));
 * await using instance = await openInstance({ dataDir, securePort: 0, autoApprove: true });
 *
 * const outcome = await bootstrap({
 *   bootstrapKubeconfig: instance.bootstrapKubeconfigPath,
 *   kubeconfig: join(dataDir, "n1", "kubeconfig"),
 *   nodeName: "n1",
 * });
 * assert.equal(outcome.pair.leaf.subject.commonName, "system:node:n1");
 *
 * const [csr] = await instance.csrs.list(AbortSignal.timeout(5_000));
 * assert.equal(getCsrPhase(csr!).kind, "issued");
 * ```
 *
 * @module
 */

// With defaults for everything.
export { type OpenInstance, openInstance, type OpenSettings } from "./cli/library/open_instance.ts";
export type { TokenOptions } from "./instance/joining.ts";
export type { FeatureGate } from "./instance/feature_gates.ts";
export type { InstanceSettings } from "./instance/settings.ts";
export { startTestServer, type TestServer, type TestServerSettings } from "./cli/library/test_server.ts";
export {
  type AdminAccess,
  type ApiAccess,
  type CertificateSettings,
  type ConnectSettings,
  connectToCluster,
} from "./cli/library/api_access.ts";
export {
  type AuthoritySettings,
  loadAuthority,
  signCertificateFor as signCertificate,
  type SignSettings,
} from "./cli/library/certificates.ts";
export { bootstrapMachine as bootstrap, type MachineSettings } from "./cli/library/bootstrap_machine.ts";
export { createSystemPorts, type SystemPorts } from "./cli/library/defaults.ts";

// Errors, results, ports.
export {
  AppError,
  type Clock,
  type CsrStore,
  type DeletionOptions,
  type ErrorCode,
  isAppError,
  type LogFields,
  type Logger,
  type ObjectChange,
  type ObjectStore,
  type Random,
  type Result,
  Secret,
  type Transport,
  type TransportRequest,
  type TransportResponse,
} from "./core/mod.ts";
export { createLogger, type LoggerOptions } from "./cli/mod.ts";

// Kubernetes objects and kubeconfigs.
export {
  type CertificateSigningRequest,
  type CertificateSigningRequestCondition,
  certificateSigningRequestKind,
  type CertificateSigningRequestSpec,
  type CertificateSigningRequestStatus,
  encodeKubeconfig,
  findKind,
  type Kind,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  type Kubeconfig,
  KUBELET_SERVING_SIGNER,
  type KubeObject,
  type ObjectMeta,
  parseKubeconfig,
  secretKind,
  type SecretObject,
  type UserInfo,
} from "./core/mod.ts";
export { createObjectStore, type ObjectStoreOptions } from "./client/mod.ts";

// Requests: their content, their phase, the decision.
export {
  type CsrPhase,
  type DecisionRefusal,
  type DecisionText,
  getCsrPhase,
  hasCertificate,
  isApproved,
  isDenied,
  isFailed,
  type ParsedRequest,
  parseRequest,
  withApproval,
  withDenial,
} from "./core/mod.ts";
export {
  BUILTIN_POLICIES,
  evaluatePolicies,
  type Inventory,
  parseInventory,
  parsePolicy,
  type Policy,
  type PolicyInput,
  type PolicyVerdict,
} from "./core/mod.ts";
export {
  BUILTIN_SIGNERS,
  createCustomProfile,
  parseProfile,
  type ProfileSpec,
  type SigningProfile,
} from "./core/mod.ts";
export { DONE, type Outcome, type Reconcile, type Reconciler, runController, type Trigger } from "./controllers/mod.ts";

// A machine and its certificates.
export {
  type BootstrapToken,
  createTokenSecret,
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
  type TokenSecretOptions,
} from "./core/mod.ts";
export {
  type BootstrapOutcome,
  type BootstrapProgress,
  type CertificateRequest,
  submitRequest,
  type SubmittedRequest,
  waitForCertificate,
  type WaitOptions,
} from "./client/mod.ts";

// Keys, requests, certificates, CAs.
export {
  type Authority,
  type AuthorityOptions,
  type CertificateFacts,
  type CertificatePlan,
  type ChainOptions,
  createAuthority,
  createCertificationRequest,
  type CredentialPair,
  type DistinguishedName,
  encodePem,
  generatePrivateKey,
  issueCertificate,
  type KeyAlgorithm,
  parseAuthority,
  parseCertificate,
  parseCertificates,
  parseCertificationRequest,
  parseCredentialPair,
  parsePrivateKey,
  type PrivateKey,
  publicKeyPin,
  type RequestFacts,
  type RequestOptions,
  type SubjectFields,
  verifyChain,
} from "./core/mod.ts";
