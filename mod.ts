/**
 * tlsboot as a library: Kubernetes TLS bootstrapping from both ends.
 *
 * - `openInstance` runs what `tlsboot up` runs: an API server over a data directory, a signer, an approver.
 * - `startTestServer` starts the same in memory, for the tests of programs that talk to an API server.
 * - `connectToCluster` gives typed access to any Kubernetes API, with a kubeconfig.
 * - `bootstrap` obtains the certificate of a machine, as a kubelet does.
 * - `loadAuthority` and `signCertificate` issue certificates without a server.
 *
 * These have defaults for clock, randomness and log. The rest of this entry is what programs need to use them. The entries
 * of the rooms have all parts, and get their adapters from the caller: `@tlsboot/tlsboot/core` (decisions), `/client` (the
 * node side), `/controllers`, `/server` (the API) and `/cli` (the command line).
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

// Functions with defaults for all adapters.
export {
  type OpenInstance,
  openInstance,
  type OpenSettings,
  startTestServer,
  type TestServer,
  type TestServerSettings,
} from "./cli/library/servers.ts";
export type { TokenOptions } from "./instance/joining.ts";
export type { FeatureGate } from "./instance/feature_gates.ts";
export type { InstanceSettings } from "./instance/settings.ts";
export {
  type AdminAccess,
  type ApiAccess,
  type AuthoritySettings,
  bootstrapMachine as bootstrap,
  type CertificateSettings,
  type ConnectSettings,
  connectToCluster,
  loadAuthority,
  type MachineSettings,
  signCertificateFor as signCertificate,
  type SignSettings,
} from "./cli/library/clients.ts";
export { createSystemPorts, type SystemPorts } from "./cli/library/defaults.ts";

// What they take and return: errors, ports, objects, requests, keys, certificates and CAs.
export {
  AppError,
  type Authority,
  type AuthorityOptions,
  type BootstrapToken,
  BUILTIN_POLICIES,
  BUILTIN_SIGNERS,
  type CertificateFacts,
  type CertificatePlan,
  type CertificateSigningRequest,
  type CertificateSigningRequestCondition,
  certificateSigningRequestKind,
  type CertificateSigningRequestSpec,
  type CertificateSigningRequestStatus,
  type ChainOptions,
  type Clock,
  createAuthority,
  createCertificationRequest,
  createCustomProfile,
  createTokenSecret,
  type CredentialPair,
  type CsrPhase,
  type CsrStore,
  type DecisionRefusal,
  type DecisionText,
  type DeletionOptions,
  type DistinguishedName,
  encodeKubeconfig,
  encodePem,
  type ErrorCode,
  evaluatePolicies,
  findKind,
  formatBootstrapToken,
  generateBootstrapToken,
  generatePrivateKey,
  getCsrPhase,
  hasCertificate,
  type Inventory,
  isAppError,
  isApproved,
  isDenied,
  isFailed,
  issueCertificate,
  type KeyAlgorithm,
  type Kind,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  type Kubeconfig,
  KUBELET_SERVING_SIGNER,
  type KubeObject,
  type LogFields,
  type Logger,
  type ObjectChange,
  type ObjectMeta,
  type ObjectStore,
  parseAuthority,
  parseBootstrapToken,
  parseCertificate,
  parseCertificates,
  parseCertificationRequest,
  parseCredentialPair,
  type ParsedRequest,
  parseInventory,
  parseKubeconfig,
  parsePolicy,
  parsePrivateKey,
  parseProfile,
  parseRequest,
  type Policy,
  type PolicyInput,
  type PolicyVerdict,
  type PrivateKey,
  type ProfileSpec,
  publicKeyPin,
  type Random,
  type RequestFacts,
  type RequestOptions,
  type Result,
  Secret,
  secretKind,
  type SecretObject,
  type SigningProfile,
  type SubjectFields,
  type TokenSecretOptions,
  type Transport,
  type TransportRequest,
  type TransportResponse,
  type UserInfo,
  verifyChain,
  withApproval,
  withDenial,
} from "./core/mod.ts";
export { createLogger, type LoggerOptions } from "./cli/mod.ts";

// Requests to a cluster.
export {
  type BootstrapOutcome,
  type BootstrapProgress,
  type CertificateRequest,
  createObjectStore,
  type ObjectStoreOptions,
  submitRequest,
  type SubmittedRequest,
  waitForCertificate,
  type WaitOptions,
} from "./client/mod.ts";

// Controllers.
export { DONE, type Outcome, type Reconcile, type Reconciler, runController, type Trigger } from "./controllers/mod.ts";
