/**
 * The controllers of TLS bootstrapping. Each works on the objects of a Kubernetes API, which it accesses through the
 * `ObjectStore` port, so the same code runs in a server's process and against a remote cluster.
 *
 * - `runController` is the loop: watch, cache, queue, reconcile. `createApprover`, `createSigner`,
 *   `createPodSigner` and `createTokenCleaner` create reconcilers for the loop, and you can write your own.
 * - `runCleaner` deletes old CSRs, and `runPodRequestCleaner` old PodCertificateRequests, each in its own loop.
 * - `runWhileLeading` lets one of several replicas work.
 * - `createFileAuthoritySource` reads the signer's CA from files.
 *
 * `createObjectStore` of `@tlsboot/tlsboot/client` creates a store for any API, local or remote. Clock, randomness and
 * logger are passed in; `createSystemPorts` of `@tlsboot/tlsboot` returns the system's.
 *
 * @example Your own controller, over a store that delivers one object
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSystemPorts } from "@tlsboot/tlsboot";
 * import { DONE, runController } from "@tlsboot/tlsboot/controllers";
 * import type { KubeObject, ObjectChange } from "@tlsboot/tlsboot/core";
 *
 * const deps = createSystemPorts();
 * const stop = new AbortController();
 *
 * const store = {
 *   async *changes(signal: AbortSignal): AsyncIterable<ObjectChange<KubeObject>> {
 *     yield { kind: "changed", object: { metadata: { name: "n1" } } };
 *     yield { kind: "synced" };
 *     await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
 *   },
 * };
 *
 * const seen: string[] = [];
 * await runController({
 *   name: "example",
 *   store,
 *   reconcile(name) {
 *     seen.push(name);
 *     stop.abort();
 *     return Promise.resolve(DONE);
 *   },
 *   ...deps,
 * }, stop.signal);
 * assert.deepEqual(seen, ["n1"]);
 * ```
 *
 * @module
 */
export {
  type ControllerObserver,
  type ControllerOptions,
  DONE,
  type Outcome,
  type Reconcile,
  type Reconciler,
  runController,
  type Trigger,
} from "./engine/loop.ts";
export {
  type Approver,
  type ApproverDeps,
  createApprover,
  createVerdictEvents,
  type VerdictEvents,
  type VerdictEventsOptions,
} from "./approver/approver.ts";
export {
  createFileProfileSource,
  type FileProfileOptions,
  type FileProfileSource,
  type ProfileSource,
  type ProfileSpecSource,
} from "./signer/profile_provider.ts";
export type { EvidenceSources, FindRevokedRequest, PolicySettings } from "../core/approval/decide_from_sources.ts";
export type { NodeCertificateIndex } from "../core/approval/evidence/node_certificate_index.ts";
export {
  createCsrIndex,
  createNodeCertificates,
  createNodeWatch,
  type CsrIndex,
  type NodeCertificates,
  type NodeCertificatesOptions,
  type NodeWatch,
  type NodeWatchOptions,
} from "./approver/indexes.ts";
export { createSigner, type RecordIssued, type SignerDeps } from "./signer/signer.ts";
export { createPodSigner, type PodSignerDeps, type RecordPodCertificate } from "./signer/pod_signer.ts";
export {
  type CleanerOptions,
  type PodRequestCleanerOptions,
  runCleaner,
  runPodRequestCleaner,
} from "./upkeep/cleaner.ts";
export { createTokenCleaner, type TokenCleanerDeps } from "./upkeep/bootstrap_tokens.ts";
export { type LeaderElectionOptions, runWhileLeading } from "./engine/leader_election.ts";
export {
  type CaFiles,
  type CaKeySource,
  createFileAuthoritySource,
  createKeyFileSource,
  type FileAuthorityOptions,
  type FileAuthoritySource,
  type PassphrasePort,
} from "./signer/ca_provider.ts";
export type { VerdictEvent } from "../core/approval/request_states.ts";
