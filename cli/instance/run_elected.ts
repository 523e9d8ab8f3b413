/** Leader election for the controllers of servers that share a store: one of the servers runs them. */
import { Buffer } from "node:buffer";
import { hostname } from "node:os";
import type { Lease } from "../../core/kube/coordination_v1.ts";
import { leaseKind } from "../../core/kube/kinds/mod.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { runWhileLeading } from "../../controllers/leader_election.ts";
import type { Server } from "../../server/server.ts";
import { USER_AGENT } from "../user_agent.ts";
import { ROOT_USER } from "./control_plane.ts";
import type { ControllerDeps } from "./deps.ts";

const NAMESPACE = "kube-system";
/** Short times, so that another server takes over within 15 seconds after the leader has stopped. */
const TIMES = { leaseDurationMs: 10_000, renewDeadlineMs: 7_000, retryPeriodMs: 1_500 };

/** Runs the work while this server leads, until the signal aborts. */
export async function runElected(
  server: Pick<Server, "transportFor">,
  deps: ControllerDeps,
  work: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const transport = server.transportFor(ROOT_USER, USER_AGENT);
  await runWhileLeading(
    {
      ...deps,
      ...TIMES,
      store: createObjectStore<Lease>(transport, leaseKind, { ...deps, namespace: NAMESPACE }),
      namespace: NAMESPACE,
      leaseName: "tlsboot-controllers",
      identity: `${hostname()}_${Buffer.from(deps.random.bytes(8)).toString("hex")}`,
    },
    work,
    signal,
  );
}
