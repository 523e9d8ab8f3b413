/**
 * The node side of TLS bootstrapping, and typed access to any Kubernetes API.
 *
 * `readCluster` and `createConnector` turn a kubeconfig into a transport; `createObjectStore` gives the objects of one
 * kind over it; `bootstrap` gets a machine its first certificate, `runCertificateManager` keeps it fresh.
 */
export * from "./access_reviewer.ts";
export * from "./api.ts";
export * from "./bootstrap.ts";
export * from "./certificate_manager.ts";
export * from "./certificate_requester.ts";
export * from "./connect.ts";
export * from "./credential_store.ts";
export * from "./csr_request.ts";
export * from "./csr_wait.ts";
export * from "./files.ts";
export * from "./kubeconfig_validity.ts";
export * from "./object_store.ts";
export * from "./server_time.ts";
export * from "./transport.ts";
