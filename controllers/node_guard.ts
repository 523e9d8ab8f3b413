/**
 * Holds requests for client certificates of nodes for a person: with a subject that no kubelet requests, of machines that
 * the inventory lacks, where a policy asks for it, and of nodes that have a valid certificate from another key
 * (`core/approval/node_claims.ts`).
 */
import {
  collectNodeClientSettings,
  decideHold,
  findRequestedNode,
  type Hold,
  readRecordedNodeCertificate,
} from "../core/approval/node_claims.ts";
import type { DecisionText } from "../core/approval/conditions.ts";
import { TOO_MANY_HELD } from "../core/approval/request_states.ts";
import { parseRequest } from "../core/csr/request.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import type { IssuedCertificate } from "../core/kube/tlsboot_v1alpha1.ts";
import { createKeyedMutex } from "../core/lib/keyed_mutex.ts";
import { escapeControls } from "../core/lib/printable.ts";
import type { Clock, Logger } from "../core/ports.ts";
import type { HeldLimits, PolicySettings } from "./evidence.ts";
import type { Outcome, Trigger } from "./loop.ts";
import type { NodeCertificates } from "./node_certificates.ts";
import { backoffMs } from "./queue.ts";
import type { VerdictEvents } from "./verdict_events.ts";

/** Holds requests, and decides those for one node one at a time. */
export interface NodeGuard {
  /**
   * Calls `decide` unless the request is held, or `deny` when too many requests for the node are held. Requests for the same
   * node wait for each other, so that two of them with different keys are not approved together.
   */
  guard(
    name: string,
    csr: CertificateSigningRequest,
    decide: () => Promise<Outcome>,
    deny: (text: DecisionText) => Promise<Outcome>,
    signal: AbortSignal,
  ): Promise<Outcome>;
  /** Drops the state of a request that is decided or deleted. */
  forget(name: string): void;
  /** Lists the names of the requests that are held. */
  listHeld(): readonly string[];
  /** Triggers that make the controller check held requests again. */
  readonly triggers: readonly Trigger[];
}

/** The dependencies of the guard. */
export interface NodeGuardDeps {
  readonly certificates: NodeCertificates;
  /** Returns the policies and the inventory at the moment. */
  readonly settings: () => PolicySettings;
  readonly held: HeldLimits;
  readonly events: VerdictEvents;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Counts the requests that are held, by reason. */
  readonly onHeld?: (reason: Hold["kind"]) => void;
}

/** How long a request waits while the register is being read for the first time. */
const REGISTER_WAIT_MS = 250;
/** A check of a request that is held costs little, and a revocation should release it soon. */
const LONGEST_RECHECK_MS = 10_000;

/** Creates the guard. The controller that runs it must also use its triggers. */
export function createNodeGuard(deps: NodeGuardDeps): NodeGuard {
  const { certificates, settings, held: limits, events, clock, logger, onHeld } = deps;
  const held = new Map<string, { readonly node: string; readonly fault: string; readonly checks: number }>();
  const mutex = createKeyedMutex();

  async function hold(
    name: string,
    csr: CertificateSigningRequest,
    node: string,
    deny: (text: DecisionText) => Promise<Outcome>,
    signal: AbortSignal,
  ): Promise<Outcome | undefined> {
    const request = parseRequest(csr.spec.request);
    if (!request.ok) return undefined;
    const { policies, inventory } = settings();
    const evidence = { inventory, certificates: await certificates.list(node, name) };
    const input = { csr, request: request.value, now: clock.now(), evidence };
    const found = decideHold(collectNodeClientSettings(policies), input);
    switch (found.kind) {
      case "none":
        forget(name);
        return undefined;
      case "failed":
        return undecided(found.message);
      case "found": {
        const excess = limits.requests.hold(name, [`node ${node}`], await limits.findAddress?.(csr));
        if (excess !== undefined) return await deny({ reason: TOO_MANY_HELD, message: excess });
        return await keep(name, csr, node, found.value, signal);
      }
    }
  }

  function forget(name: string): void {
    held.delete(name);
    limits.requests.release(name);
  }

  function undecided(message: string): Outcome {
    logger.debug("CSR waits for the register", { why: message });
    return { kind: "requeueAfter", ms: REGISTER_WAIT_MS };
  }

  async function keep(
    name: string,
    csr: CertificateSigningRequest,
    node: string,
    { kind, fault, fix }: Hold,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const before = held.get(name);
    const checks = before?.checks ?? 0;
    held.set(name, { node, fault, checks: checks + 1 });
    if (before?.fault !== fault) {
      const why = escapeControls(fault);
      const { username, signerName } = csr.spec;
      logger.warn("CSR held for a person", { csr: name, signerName, username, why });
      onHeld?.(kind);
      const next = escapeControls(fix);
      const note = `Left pending: ${why}. ${next.slice(0, 1).toUpperCase()}${next.slice(1)}`;
      await events.record(csr, { type: "Warning", reason: kind, note }, signal);
    }
    // Certificates expire and are revoked without a change of the request, so it is checked again, less and less often.
    return { kind: "requeueAfter", ms: Math.min(backoffMs(checks), LONGEST_RECHECK_MS) };
  }

  return {
    async guard(name, csr, decide, deny, signal) {
      const request = parseRequest(csr.spec.request);
      const node = request.ok ? findRequestedNode(csr, request.value) : undefined;
      if (node === undefined) return await decide();
      return await mutex.runExclusive(node, async () => await hold(name, csr, node, deny, signal) ?? await decide());
    },
    forget,
    listHeld: () => [...held.keys()],
    triggers: certificates.changes === undefined ? [] : [{
      changes: certificates.changes,
      // A revocation of the node's certificate may release a request.
      nameFor(record) {
        const certificate = readRecordedNodeCertificate(record as IssuedCertificate);
        if (certificate === undefined) return [];
        const { node } = certificate;
        return [...held].filter(([, request]) => node === undefined || request.node === node).map(([name]) => name);
      },
    }],
  };
}
