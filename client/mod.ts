/**
 * The node side of TLS bootstrapping, and typed access to any Kubernetes API.
 *
 * - `readCluster` and `createConnector` turn a kubeconfig into a transport.
 * - `createObjectStore` accesses the objects of one kind over a transport: get, list, create, update, delete, changes.
 * - `bootstrap` obtains the first client certificate of a machine as a kubelet does, `bootstrapServing` its serving
 *   certificate; `runCertificateManager` renews either.
 * - `requestCertificate` obtains a certificate for any program from any signer; `submitRequest` and
 *   `waitForCertificate` are its steps.
 *
 * The caller provides the clock, randomness and a logger; `createSystemPorts` of `@tlsboot/tlsboot` creates those of
 * the machine.
 *
 * @example Reading objects through a transport; a real one comes from `createConnector`
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSystemPorts } from "@tlsboot/tlsboot";
 * import { createObjectStore } from "@tlsboot/tlsboot/client";
 * import {
 *   type CertificateSigningRequest,
 *   certificateSigningRequestKind,
 *   getCsrPhase,
 *   type Transport,
 * } from "@tlsboot/tlsboot/core";
 *
 * const deps = createSystemPorts();
 *
 * // Stands in for a server that has one pending request.
 * const pending = { metadata: { name: "n1" }, spec: { request: "", signerName: "x.org/y" }, status: {} };
 * const list = { kind: "List", items: [pending] };
 * const transport: Transport = {
 *   send: async ({ method, path }) => {
 *     assert.equal(`${method} ${path.split("?")[0]}`, "GET /apis/certificates.k8s.io/v1/certificatesigningrequests");
 *     const body = (async function* () {
 *       yield new TextEncoder().encode(JSON.stringify(list));
 *     })();
 *     return { status: 200, headers: { "content-type": "application/json" }, body };
 *   },
 * };
 *
 * const csrs = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, deps);
 * const [csr] = await csrs.list(AbortSignal.timeout(5_000));
 * assert.equal(getCsrPhase(csr!).kind, "pending");
 * ```
 *
 * @module
 */

// Kubeconfig → transport.
export {
  type Connect,
  type ConnectOptions,
  createConnector,
  readClientPair,
  readCluster,
  readKubeconfig,
} from "./transport/connect.ts";
export {
  type ClientPair,
  createTlsTransport,
  type TlsTransport,
  type TlsTransportOptions,
  type TransportTimeouts,
} from "./transport/tls_transport.ts";
export type { ClockReading } from "../core/report/health/machine.ts";
export { isSkewed, observeServerTime, type TimedTransport } from "./transport/server_time.ts";
export { createFilePort, type FileFacts, type FilePort } from "./files.ts";

// Transport → objects.
export {
  type ApiClient,
  type ApiClientOptions,
  type ApiRequest,
  createApiClient,
  withWarnings,
} from "./objects/api.ts";
export { createObjectStore, type ObjectStoreOptions } from "./objects/object_store.ts";
export { createAccessReviewer } from "./objects/access_reviews.ts";

// A certificate for this machine.
export {
  bootstrap,
  type BootstrapOptions,
  type BootstrapOutcome,
  type BootstrapProgress,
  CLIENT_STORE_PREFIX,
  createKubeconfigFinder,
  createMissingCredentialsFinder,
  type FindBootstrapCluster,
  type ProveIdentity,
} from "./bootstrap.ts";
export { discoverCluster, type DiscoveryOptions, type DiscoveryProgress } from "./discover_cluster.ts";
export { checkKubeconfig, encodeNodeKubeconfig, type KubeconfigValidity } from "./node_kubeconfig.ts";
export {
  type CredentialStore,
  type CredentialStoreOptions,
  type FoundPair,
  openCredentialStore,
  viewCredentialStore,
} from "./certificate/credential_store.ts";
export {
  bootstrapServing,
  followServingAddresses,
  SERVING_STORE_PREFIX,
  type ServingAddressesOptions,
  type ServingBootstrapOptions,
  type ServingOutcome,
  type ServingProgress,
} from "./serving.ts";
export { readHostFacts } from "./host_facts.ts";
export {
  type CertificateManagerOptions,
  type CertificateRequesterOptions,
  createCertificateRequester,
  isServerHealthy,
  type RequestCertificate,
  runCertificateManager,
  type TemplateHolder,
  type TemplateSource,
} from "./certificate_manager.ts";
export { createFixedSource, createHolder, type Holder, type Source } from "./keep_fresh.ts";

// A certificate from any signer.
export {
  requestCertificate,
  type RequestCertificateOptions,
  type RequestOutcome,
  type RequestProgress,
  RequestRefusedError,
} from "./request_certificate.ts";
export { type CredentialTarget, openPairFolder, type PairFolder, type PairPaths } from "./certificate/pair_folder.ts";
export {
  type CertificateRequest,
  findIssuedCertificate,
  submitRequest,
  type SubmittedRequest,
  waitForCertificate,
  type WaitOptions,
} from "./certificate/submit_request.ts";
export {
  obtainCertificate,
  type ObtainedCertificate,
  type ObtainOptions,
  type ObtainProgress,
  type PendingCertificate,
  tryToObtainCertificate,
} from "./certificate/obtain_certificate.ts";
