/**
 * tlsboot as a library: Kubernetes TLS bootstrapping from both ends.
 *
 * This entry has all of `core` (decisions), `client` (the node side), `server` (the control-plane side) and `controllers`
 * (signer, approver and others); import `@tlsboot/tlsboot/core` and so on to load less. `@tlsboot/tlsboot/cli` runs the
 * command line.
 *
 * @example A CA, a server, a signer and a machine that gets a certificate, in one process
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   type CertificateSigningRequest,
 *   certificateSigningRequestKind,
 *   createAuthority,
 *   createObjectStore,
 *   createSigner,
 *   encodePem,
 *   generatePrivateKey,
 *   issueCertificate,
 *   KUBE_APISERVER_CLIENT_SIGNER,
 *   type Logger,
 *   createMemoryStorage,
 *   parseCredentialPair,
 *   runController,
 *   startServer,
 *   submitRequest,
 *   verifyChain,
 *   waitForCertificate,
 *   withApproval,
 * } from "@tlsboot/tlsboot";
 * import { createSystemClock, createSystemRandom } from "@tlsboot/tlsboot/cli";
 *
 * const clock = createSystemClock();
 * const random = createSystemRandom();
 * const logger: Logger = { debug() {}, info() {}, warn() {}, error() {}, with: () => logger };
 * const deps = { clock, random, logger };
 *
 * const notBefore = clock.now();
 * const validity = { notBefore, notAfter: new Date(notBefore.getTime() + 3_600_000) };
 * const caKey = await generatePrivateKey("ecdsa-p256");
 * const ca = await createAuthority({ commonName: "ca", ...validity, key: caKey, serial: random.bytes(16) });
 * const servingKey = await generatePrivateKey("ecdsa-p256");
 * const serving = await issueCertificate({
 *   subject: { commonName: "server" },
 *   publicKeyDer: servingKey.publicKeyDer(),
 *   dnsNames: ["localhost"],
 *   ipAddresses: ["127.0.0.1"],
 *   emailAddresses: [],
 *   uris: [],
 *   ...validity,
 *   usages: ["digital signature", "server auth"],
 *   isCa: false,
 * }, ca, random.bytes(16));
 *
 * await using storage = createMemoryStorage(deps);
 * await using server = await startServer({
 *   ...deps,
 *   storage,
 *   bindAddress: "127.0.0.1",
 *   port: 0,
 *   serving: { certificatePem: encodePem("CERTIFICATE", serving), privateKeyPem: servingKey.toPem() },
 *   clientCaPem: ca.certificatePem,
 *   tokenFile: undefined,
 *   bootstrapTokens: true,
 *   anonymous: false,
 *   audit: undefined,
 *   version: { gitVersion: "v1.37.2" },
 *   objects: [],
 * });
 *
 * // An administrator inside the process; the controller acts as it here, in an instance it has an account of its own.
 * const admin = { username: "admin", uid: "", groups: ["system:masters", "system:authenticated"], extra: {} };
 * const transport = server.transportFor(admin, "example");
 * const store = createObjectStore<CertificateSigningRequest>(transport, certificateSigningRequestKind, deps);
 * const { reconcile } = createSigner({
 *   ...deps,
 *   store,
 *   authorities: async () => ca,
 *   signerNames: [KUBE_APISERVER_CLIENT_SIGNER],
 *   signingDurationSeconds: 1_800,
 * });
 * const stop = new AbortController();
 * const signer = runController({ ...deps, name: "signer", store, reconcile }, stop.signal);
 *
 * // Ask, approve, wait, check.
 * const key = await generatePrivateKey("ecdsa-p256");
 * const asked = await submitRequest(store, {
 *   key,
 *   subject: { commonName: "jane" },
 *   signerName: KUBE_APISERVER_CLIENT_SIGNER,
 *   usages: ["digital signature", "client auth"],
 *   name: { prefix: "jane-" },
 * }, clock, stop.signal);
 * const csr = await store.get(asked.name, stop.signal);
 * const approved = withApproval(csr!, { reason: "Example", message: "Checked by hand." });
 * assert(approved.ok);
 * await store.update(approved.value, stop.signal, "approval");
 * const pem = await waitForCertificate({ ...deps, ...asked, transport, timeoutSeconds: 30 }, stop.signal);
 *
 * const pair = parseCredentialPair(pem, key.toPem());
 * assert(pair.ok);
 * assert.equal(pair.value.leaf.subject.commonName, "jane");
 * assert(verifyChain(pair.value.leaf, [], [ca.certificate], { at: clock.now(), usage: "client" }).ok);
 *
 * stop.abort();
 * await signer;
 * ```
 *
 * @module
 */
export * from "./core/mod.ts";
export * from "./client/mod.ts";
export * from "./controllers/mod.ts";
export * from "./server/mod.ts";
