/**
 * Leader election around controllers: for replicas that work on a remote cluster, and for servers that share a store.
 */
import { hostname } from "node:os";
import type { Lease } from "../../core/kube/kinds/coordination_v1.ts";
import { leaseKind } from "../../core/kube/kinds/mod.ts";
import type { Transport } from "../../core/ports.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { type LeaderElectionOptions, runWhileLeading } from "../../controllers/mod.ts";
import type { ControllerDeps } from "../deps.ts";
import { encodeHex } from "../../core/lib/encodings.ts";

/** The Lease of an election; its times default to kube-controller-manager's. */
export type Election = Pick<
  LeaderElectionOptions,
  "namespace" | "leaseName" | "leaseDurationMs" | "renewDeadlineMs" | "retryPeriodMs"
>;

/** The election of servers that share a store: another one takes over within 15 seconds after the leader has stopped. */
export const SHARED_STORE_ELECTION: Election = {
  namespace: "kube-system",
  leaseName: "tlsboot-controllers",
  leaseDurationMs: 10_000,
  renewDeadlineMs: 7_000,
  retryPeriodMs: 1_500,
};

/** Runs the work while this process leads, until the signal aborts. */
export async function runElected(
  transport: Transport,
  election: Election,
  deps: ControllerDeps,
  work: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const store = createObjectStore<Lease>(transport, leaseKind, { ...deps, namespace: election.namespace });
  const identity = `${hostname()}_${encodeHex(deps.random.bytes(8))}`;
  await runWhileLeading({ ...deps, ...election, store, identity }, work, signal);
}
