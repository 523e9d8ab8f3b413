/** Follows the names and addresses that nodes report, while a policy needs them. */
import { type AppError, getErrorMessage } from "../core/errors.ts";
import { getName } from "../core/kube/meta.ts";
import type { NodeNames } from "../core/approval/inventory.ts";
import { listReportedNames, type ReportingNode } from "../core/approval/node_names.ts";
import type { Lookup } from "../core/approval/ownership.ts";
import type { Clock, ObjectChange, ObjectStore } from "../core/ports.ts";
import { isSameSet } from "../core/lib/sets.ts";

/** The reported names of all nodes, and their changes. */
export interface NodeWatch {
  /** Returns the names by node; `failed` until every node has been listed once. */
  reported(): Lookup<ReadonlyMap<string, NodeNames>>;
  /** True while the first listing is under way and nothing has gone wrong with it. */
  isStarting(): boolean;
  /** Yields when names or addresses of a node have changed; heartbeats are left out. */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<ReportingNode>>;
}

/** The dependencies of a node watch. */
export interface NodeWatchOptions {
  /** Returns all nodes, over a store that reports each failed connection. */
  nodes(onFailure: (error: AppError) => void): Pick<ObjectStore<ReportingNode>, "changes">;
  /** Whether a policy needs nodes; no request is sent to the API before. */
  readonly isNeeded: () => boolean;
  readonly clock: Clock;
}

/** How often it is checked whether reloaded policies need nodes. */
const ASK_EVERY_MS = 1_000;

/** Creates a watch, which runs while its changes are being iterated. */
export function createNodeWatch({ nodes, isNeeded, clock }: NodeWatchOptions): NodeWatch {
  const known = new Map<string, NodeNames>();
  let isSynced = false;
  let failure: string | undefined;

  const store = nodes(fail);

  function fail(error: unknown): void {
    failure = `the nodes cannot be listed: ${getErrorMessage(error)}`;
  }

  /** Applies a change; returns whether names or addresses changed. */
  function apply(change: Exclude<ObjectChange<ReportingNode>, { kind: "synced" }>): boolean {
    const name = getName(change.object);
    if (change.kind === "deleted") return known.delete(name);
    const names = listReportedNames(change.object);
    const before = known.get(name);
    known.set(name, names);
    return before === undefined || !isSame(before, names);
  }

  async function* changes(signal: AbortSignal): AsyncIterable<ObjectChange<ReportingNode>> {
    while (!isNeeded()) await clock.sleep(ASK_EVERY_MS, signal);
    const missing = new Set(known.keys());
    try {
      for await (const change of store.changes(signal)) {
        if (change.kind !== "synced") {
          missing.delete(getName(change.object));
          if (apply(change)) yield change;
          continue;
        }
        for (const name of missing) known.delete(name);
        missing.clear();
        isSynced = true;
        yield change;
      }
    } catch (error) {
      fail(error);
      throw error;
    }
  }

  return {
    reported: () =>
      isSynced
        ? { kind: "found", value: known }
        : { kind: "failed", message: failure ?? "the nodes have not been listed yet" },
    isStarting: () => !isSynced && failure === undefined,
    changes,
  };
}

function isSame(a: NodeNames, b: NodeNames): boolean {
  return isSameSet(a.dns, b.dns) && isSameSet(a.ips, b.ips);
}
