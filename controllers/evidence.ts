/**
 * The evidence that policies decide by: the approved requests of each requester, the names that nodes report, the names of
 * the API server, permissions, and the inventory.
 */
import { asksForClaims, findRequestingNode } from "../core/approval/evaluate_policies.ts";
import type { Inventory, NodeNames } from "../core/approval/inventory.ts";
import { findHeldNames, listReportedNames, type ReportingNode } from "../core/approval/node_names.ts";
import { findClaimedNode } from "../core/approval/node_claims.ts";
import { listClaimedNames } from "../core/approval/name_claims.ts";
import type { Lookup, NameClaim, NodeCertificate } from "../core/approval/ownership.ts";
import { listPastApprovals } from "../core/approval/past_approvals.ts";
import { createAccessReviewSpec } from "../core/approval/plan_approval.ts";
import type { Policy } from "../core/approval/policy.ts";
import type { HeldRequests } from "../core/approval/request_states.ts";
import { isApproved } from "../core/csr/phase.ts";
import { type AppError, getErrorMessage } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import { isSameSet } from "../core/lib/sets.ts";
import type { RequestFacts } from "../core/pki/pkcs10.ts";
import type { AccessReviewer, Clock, CsrStore, ObjectChange, ObjectStore } from "../core/ports.ts";
import type { PolicyInput } from "../core/approval/checks.ts";
import type { NodeCertificates } from "./node_certificates.ts";

/** The policies and the inventory that the operator has configured. */
export interface PolicySettings {
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
}

/** The sources of the evidence that policies use. */
export interface EvidenceSources {
  readonly reviewer: AccessReviewer;
  /** Lists the approved requests of a requester. */
  listApproved(username: string): Iterable<CertificateSigningRequest>;
  /** Returns the names and addresses that nodes report; `none` when no policy needs them. */
  reported(): Lookup<ReadonlyMap<string, NodeNames>>;
  /** Lists the client certificates of a node that are not revoked, except that of one request. */
  certificates(
    node: string,
    exceptRequest: string,
  ): Lookup<readonly NodeCertificate[]> | Promise<Lookup<readonly NodeCertificate[]>>;
  /** Lists who holds names, for policies with `names.unclaimed`; absent where no register of certificates is read. */
  claims?(names: readonly string[]): Promise<Lookup<readonly NameClaim[]>>;
  /** Returns the names and addresses of the API server. A failure is passed on, because nothing is approved without them. */
  serverNames(signal: AbortSignal): Promise<NodeNames>;
  readonly clock: Clock;
}

/** Leaves out who holds the names of a request where no rule asks for it, so that the register is not read for nothing. */
export function withNeededClaims(
  sources: EvidenceSources,
  policies: readonly Policy[],
  csr: CertificateSigningRequest,
): EvidenceSources {
  if (asksForClaims(policies, csr)) return sources;
  const { claims: _claims, ...rest } = sources;
  return rest;
}

/** Gathers the facts about a request. A fact that cannot be read is `failed`, and then no rule decides by it. */
export async function gatherPolicyInput(
  sources: EvidenceSources,
  settings: Pick<PolicySettings, "inventory">,
  about: { readonly csr: CertificateSigningRequest; readonly request: RequestFacts },
  asked: readonly string[],
  signal: AbortSignal,
): Promise<PolicyInput> {
  const { csr, request } = about;
  const permissions = new Map<string, Lookup<boolean>>();
  for (const permission of asked) permissions.set(permission, await review(sources, csr, permission, signal));
  const node = findRequestingNode(csr);
  const names = listClaimedNames(request);
  const claims = names.length === 0 ? { kind: "none" as const } : await sources.claims?.(names);
  const isAboutNames = node !== undefined || (claims !== undefined && claims.kind !== "none");
  const server = isAboutNames ? await sources.serverNames(signal) : { dns: [], ips: [] };
  const claimed = findClaimedNode(csr, request);
  const now = sources.clock.now();
  const approved = [...sources.listApproved(csr.spec.username ?? "")];
  return {
    csr,
    request,
    now,
    permissions,
    approvedBefore: listPastApprovals(approved),
    evidence: {
      inventory: settings.inventory,
      held: node === undefined ? { kind: "none" } : findHeldNames(approved, node, now),
      reported: sources.reported(),
      server,
      certificates: claimed === undefined ? { kind: "none" } : await sources.certificates(claimed, getName(csr)),
      ...(claims === undefined ? {} : { claims }),
    },
  };
}

async function review(
  { reviewer }: EvidenceSources,
  csr: CertificateSigningRequest,
  permission: string,
  signal: AbortSignal,
): Promise<Lookup<boolean>> {
  try {
    return { kind: "found", value: await reviewer.isAllowed(createAccessReviewSpec(csr, permission), signal) };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", message: `cannot ask for permission ${permission}: ${getErrorMessage(error)}` };
  }
}

/** The limits of held requests, and the address from which a request came, where the server of the approver recorded it. */
export interface HeldLimits {
  readonly requests: HeldRequests;
  readonly findAddress?: ((csr: CertificateSigningRequest) => Promise<string | undefined>) | undefined;
}

/** An index of the approved requests of each requester. */
export interface CsrIndex {
  /** Passes on the store's changes and records each in the index. */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<CertificateSigningRequest>>;
  /** Records an object that was just written, before its change arrives. */
  put(csr: CertificateSigningRequest): void;
  listApproved(username: string): Iterable<CertificateSigningRequest>;
}

/**
 * Creates an index over a store. It holds no pending requests, so its size does not depend on their number. Every request
 * is also passed to the certificates of nodes.
 */
export function createCsrIndex(
  store: Pick<CsrStore, "changes">,
  certificates?: Pick<NodeCertificates, "put" | "remove">,
): CsrIndex {
  const approved = new Map<string, Map<string, CertificateSigningRequest>>();
  const requesters = new Map<string, string>();

  function put(csr: CertificateSigningRequest): void {
    const name = getName(csr);
    forget(name);
    certificates?.put(csr);
    if (!isApproved(csr)) return;
    const { username = "" } = csr.spec;
    const own = approved.get(username) ?? new Map<string, CertificateSigningRequest>();
    own.set(name, csr);
    approved.set(username, own);
    requesters.set(name, username);
  }

  function remove(name: string): void {
    certificates?.remove(name);
    forget(name);
  }

  function forget(name: string): void {
    const username = requesters.get(name);
    if (username === undefined) return;
    requesters.delete(name);
    const own = approved.get(username);
    own?.delete(name);
    if (own?.size === 0) approved.delete(username);
  }

  return {
    put,
    listApproved: (username) => approved.get(username)?.values() ?? [],
    async *changes(signal) {
      // A watch that starts again reports the existing objects, but not those deleted in between.
      const missing = new Set(requesters.keys());
      for await (const change of store.changes(signal)) {
        if (change.kind === "synced") {
          missing.forEach(remove);
          missing.clear();
        } else {
          missing.delete(getName(change.object));
          if (change.kind === "deleted") remove(getName(change.object));
          else put(change.object);
        }
        yield change;
      }
    },
  };
}

/** The reported names of all nodes, and their changes. */
export interface NodeWatch {
  /** Returns the names by node; `failed` until every node has been listed once. */
  reported(): Lookup<ReadonlyMap<string, NodeNames>>;
  /** True while the first list is in progress and has not failed. */
  isStarting(): boolean;
  /** Yields when names or addresses of a node have changed, but not for heartbeats. */
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

/** The interval at which to check whether reloaded policies need nodes. */
const NEED_CHECK_INTERVAL_MS = 1_000;

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
    while (!isNeeded()) await clock.sleep(NEED_CHECK_INTERVAL_MS, signal);
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
