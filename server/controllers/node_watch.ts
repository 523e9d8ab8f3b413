/** What every node reports of itself, followed while a policy needs it. */
import { type AppError, getErrorMessage } from "../../core/errors.ts";
import { getName } from "../../core/kube/meta.ts";
import type { NodeNames } from "../../core/approval/inventory.ts";
import { listReportedNames, type ReportingNode } from "../../core/approval/node_names.ts";
import type { Lookup } from "../../core/approval/ownership.ts";
import type { Change, Clock, ObjectStore } from "../../core/ports.ts";
import { isSameSet } from "../../core/lib/sets.ts";

/** The reports, and what tells of their changes. */
export interface NodeWatch {
  /** Failed until every node has been seen once. */
  reported(): Lookup<ReadonlyMap<string, NodeNames>>;
  /** True while the first listing is under way and nothing has gone wrong with it. */
  isStarting(): boolean;
  /** Yields when names or addresses of a node have changed; heartbeats are not told. */
  changes(signal: AbortSignal): AsyncIterable<Change<ReportingNode>>;
}

/** What following takes. */
export interface NodeWatchOptions {
  /** All nodes, over a store that tells of each failed connection. */
  nodes(onFailure: (error: AppError) => void): Pick<ObjectStore<ReportingNode>, "changes">;
  /** Nothing is asked of the API before this is true. */
  readonly isNeeded: () => boolean;
  readonly clock: Clock;
}

/** How long until it is asked again whether a policy that was read anew needs nodes. */
const ASK_EVERY_MS = 1_000;

/** Makes a watch; it runs while somebody iterates its changes. */
export function createNodeWatch({ nodes, isNeeded, clock }: NodeWatchOptions): NodeWatch {
  const known = new Map<string, NodeNames>();
  let isSynced = false;
  let failure: string | undefined;

  const store = nodes(fail);

  function fail(error: unknown): void {
    failure = `the nodes cannot be listed: ${getErrorMessage(error)}`;
  }

  /** Whether something changed. */
  function apply(change: Exclude<Change<ReportingNode>, { kind: "synced" }>): boolean {
    const name = getName(change.object);
    if (change.kind === "deleted") return known.delete(name);
    const names = listReportedNames(change.object);
    const before = known.get(name);
    known.set(name, names);
    return before === undefined || !isSame(before, names);
  }

  async function* changes(signal: AbortSignal): AsyncIterable<Change<ReportingNode>> {
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
