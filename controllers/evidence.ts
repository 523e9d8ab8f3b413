/**
 * The evidence about requests: what is revoked, bootstrap tokens, the client certificates of nodes, permissions, the approved
 * requests of each requester, the names that nodes report and those of the API server.
 */
import { decideWith, type Known, type Need, type Question, type Verdict } from "../core/approval/decide_request.ts";
import { findRequestingNode } from "../core/approval/rules/evaluate_policies.ts";
import type { Inventory, NodeNames } from "../core/approval/evidence/inventory.ts";
import { listClaimedNames } from "../core/approval/evidence/name_claims.ts";
import { findClaimedNode } from "../core/approval/evidence/node_claims.ts";
import { findHeldNames, listReportedNames, type ReportingNode } from "../core/approval/evidence/node_names.ts";
import type { Lookup, NameClaim, NodeCertificate } from "../core/approval/evidence/ownership.ts";
import { listPastApprovals } from "../core/approval/evidence/past_approvals.ts";
import type { Policy } from "../core/approval/policy.ts";
import { createAccessReviewSpec } from "../core/approval/recognizers.ts";
import { findTokenId } from "../core/token/token_secret.ts";
import { isApproved } from "../core/request/phase.ts";
import { type AppError, getErrorMessage } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import { isSameSet } from "../core/lib/sets.ts";
import type { AccessReviewer, Clock, CsrStore, ObjectChange, ObjectStore } from "../core/ports.ts";
import type { RevocationMatch } from "../core/revocation/revocation_index.ts";
import type { NodeCertificates } from "./node_certificates.ts";

/** The policies and the inventory that the operator has configured. */
export interface PolicySettings {
  readonly policies: readonly Policy[];
  readonly inventory: Inventory | undefined;
}

/** The sources of the evidence about requests. A fact that cannot be read is `failed`, and then nothing is decided by it. */
export interface EvidenceSources {
  readonly clock: Clock;
  readonly reviewer: AccessReviewer;
  /** Finds the Revocation for which a request must not be approved; absent where nothing is revoked. */
  readonly findRevoked?: FindRevokedRequest | undefined;
  /** Reads the bootstrap token with an id; absent where the limits of tokens do not apply. */
  readonly readToken?: ((id: string, signal: AbortSignal) => Promise<NonNullable<Known["token"]>>) | undefined;
  listApproved(username: string): Iterable<CertificateSigningRequest>;
  /** Returns the names and addresses that nodes report; `none` when no policy needs them. */
  reported():
    | Lookup<ReadonlyMap<string, NodeNames>>
    | Promise<Lookup<ReadonlyMap<string, NodeNames>>>;
  /** Lists the client certificates of a node that are not revoked, except that of one request. */
  certificates(
    node: string,
    exceptRequest: string,
  ): Lookup<readonly NodeCertificate[]> | Promise<Lookup<readonly NodeCertificate[]>>;
  /** Lists who holds names, for policies with `names.unclaimed`; absent where no register of certificates is read. */
  claims?(names: readonly string[]): Promise<Lookup<readonly NameClaim[]>>;
  /** Returns the names and addresses of the API server. A failure is passed on, because nothing is approved without them. */
  serverNames(signal: AbortSignal): Promise<NodeNames>;
  /** Reports whether the requester has fewer pending requests than are checked; absent where requests have no state. */
  hasRoom?(csr: CertificateSigningRequest): boolean;
  /** Finds why a request for some names may not be held; absent where requests have no state. */
  findExcess?(csr: CertificateSigningRequest, names: readonly string[]): Promise<string | undefined>;
}

/** Finds the Revocation for which a request must not be approved or signed. */
export type FindRevokedRequest = (
  csr: CertificateSigningRequest,
  signal: AbortSignal,
) => Promise<Pick<RevocationMatch, "message"> | undefined>;

/** Decides a request by what the sources have, asking only for what matters. */
export function decideFrom(sources: EvidenceSources, question: Question, signal: AbortSignal): Promise<Verdict> {
  return decideWith(question, { now: sources.clock.now() }, (need) => findAnswer(sources, question, need, signal));
}

async function findAnswer(
  sources: EvidenceSources,
  { csr, request }: Question,
  need: Need,
  signal: AbortSignal,
): Promise<Partial<Known>> {
  const { username = "" } = csr.spec;
  switch (need.kind) {
    case "revocation":
      return { revocation: await findRevocation(sources, csr, signal) };
    case "token":
      return { token: await sources.readToken?.(findTokenId(username) ?? "", signal) ?? NONE };
    case "permission":
      return { permissions: new Map([[need.permission, await review(sources, csr, need.permission, signal)]]) };
    case "certificates":
      return { certificates: await sources.certificates(findClaimedNode(csr, request) ?? "", getName(csr)) };
    case "approvals": {
      const node = findRequestingNode(csr);
      const approved = [...sources.listApproved(username)];
      const held = node === undefined ? NONE : findHeldNames(approved, node, sources.clock.now());
      return { approvals: { before: listPastApprovals(approved), held } };
    }
    case "reported":
      return { reported: await sources.reported() };
    case "server":
      return { server: await sources.serverNames(signal) };
    case "claims": {
      const names = listClaimedNames(request);
      return { claims: names.length === 0 ? NONE : await sources.claims?.(names) ?? { kind: "absent" } };
    }
    case "room":
      return { room: sources.hasRoom?.(csr) ?? true };
    case "excess":
      return { excess: toLookup(await sources.findExcess?.(csr, need.names)) };
  }
}

const NONE = { kind: "none" } as const;

function toLookup<T>(value: T | undefined): Lookup<T> {
  return value === undefined ? NONE : { kind: "found", value };
}

async function findRevocation(
  { findRevoked }: EvidenceSources,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<Lookup<string>> {
  try {
    return toLookup((await findRevoked?.(csr, signal))?.message);
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", message: `cannot find out what is revoked: ${getErrorMessage(error)}` };
  }
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
  /** True while nodes are needed, and their first list is in progress and has not failed. */
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
    isStarting: () => isNeeded() && !isSynced && failure === undefined,
    changes,
  };
}

function isSame(a: NodeNames, b: NodeNames): boolean {
  return isSameSet(a.dns, b.dns) && isSameSet(a.ips, b.ips);
}
