/**
 * The approving controller. For each request, `core/approval/decide_from_sources.ts` gathers the evidence and
 * `decide_request.ts` reaches a verdict. This file writes and reports the verdict, and keeps the state of undecided
 * requests (`core/approval/request_states.ts`).
 */
import { withApproval, withDenial } from "../../core/approval/conditions.ts";
import { listLocks, type Question, type Verdict } from "../../core/approval/decide_request.ts";
import { type Hold, readRecordedNodeCertificate } from "../../core/approval/evidence/claims.ts";
import { isSettled } from "../../core/approval/recognizers.ts";
import {
  MAX_PENDING,
  planApprovalStep,
  type Recheck,
  RequestStates,
  type StepReport,
  type VerdictEvent,
} from "../../core/approval/request_states.ts";
import { withBoundKey } from "../../core/token/bound_token.ts";
import { hasCertificate } from "../../core/request/phase.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createKeyedMutex } from "../../core/lib/waiting.ts";
import type { Clock, CsrStore, Logger, ObjectStore, Random } from "../../core/ports.ts";
import { escapeControls, shellWord } from "../../core/lib/printable.ts";
import type { NodeCertificates, NodeWatch } from "./indexes.ts";
import { backoffMs, createManualTrigger, DONE, type Outcome, type Reconciler, type Trigger } from "../engine/loop.ts";
import { decideFrom, type EvidenceSources, type PolicySettings } from "../../core/approval/decide_from_sources.ts";
import { EVENT_NAMESPACE } from "../../core/approval/approver_rbac.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { formatMicroTime, getName } from "../../core/kube/meta.ts";
import { createTokenBuckets } from "../../core/lib/bounded.ts";
import { trimEndChars } from "../../core/lib/linear_text.ts";
import { encodeHex } from "../../core/lib/encodings.ts";

/** The approving controller. Run it with `runController`, and pass its triggers. */
export interface Approver extends Reconciler<CertificateSigningRequest> {
  /** Triggers that make the controller check pending requests again. */
  readonly triggers: readonly Trigger[];
}

/** The dependencies of the approving controller. */
export interface ApproverDeps {
  readonly store: Pick<CsrStore, "update">;
  /** Called with each decided request, so that it counts as evidence before its change arrives. */
  readonly onDecided: (csr: CertificateSigningRequest) => void;
  readonly sources: Omit<EvidenceSources, "hasRoom" | "findExcess">;
  /** The current settings, which may change while the approver runs. */
  readonly settings: {
    current(): PolicySettings;
    /** Yields after each change of the settings; absent when they never change. */
    readonly changes?: Trigger["changes"];
  };
  /** Evidence that is watched. A request that needs it before the first list is complete is checked again soon. */
  readonly nodes?: Pick<NodeWatch, "isStarting" | "changes">;
  readonly certificates?: Pick<NodeCertificates, "isStarting" | "changes">;
  /** The Secrets of kube-system, in which bootstrap tokens are bound to keys. */
  readonly secrets?: Pick<ObjectStore<SecretObject>, "update">;
  /** Finds the address from which a request came, where the server of the approver recorded it. */
  readonly findAddress?: ((csr: CertificateSigningRequest) => Promise<string | undefined>) | undefined;
  readonly events: VerdictEvents;
  readonly logger: Logger;
  /** Reports decisions without writing them to requests or Secrets. */
  readonly isDryRun?: boolean;
  /** The maximum number of pending requests per requester that are checked. */
  readonly maxPending?: number;
  /** Counts the requests that are held, by reason. */
  readonly onHeld?: (reason: Hold["kind"]) => void;
}

/** How long a request waits while its evidence is being listed for the first time. */
const LIST_WAIT_MS = 250;

/** Creates the approver. Without policies, it denies only what a revocation or a bootstrap token forbids. */
export function createApprover(deps: ApproverDeps): Approver {
  const { store, settings, nodes, certificates, secrets, events, logger, isDryRun = false, maxPending = MAX_PENDING } =
    deps;
  const states = new RequestStates(maxPending);
  const mutex = createKeyedMutex();
  const requeue = createManualTrigger();

  async function reconcile(
    name: string,
    csr: CertificateSigningRequest | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (csr === undefined || isSettled(csr)) {
      requeue.fire(states.forget(name));
      // A certificate that was just issued is evidence for the next requests of its holder.
      if (csr !== undefined && hasCertificate(csr)) requeue.fire(states.listPending(getRequester(csr)));
      return DONE;
    }
    const request = parseRequest(csr.spec.request);
    if (!request.ok) {
      return { kind: "retry", error: new Error(`unable to parse csr "${name}": ${request.error}`) };
    }
    const getQuestion = (): Question => ({ csr, request: request.value, ...settings.current() });
    const locks = listLocks(getQuestion());
    const decide = async (): Promise<Outcome> => {
      const question = getQuestion();
      // The rules may have changed while other requests were decided.
      if (listLocks(question).join() !== locks.join()) return { kind: "requeueAfter", ms: 0 };
      return await decideAndWrite(name, question, signal);
    };
    return await locks.reduceRight((next, lock) => () => mutex.runExclusive(lock, next), decide)();
  }

  async function decideAndWrite(name: string, question: Question, signal: AbortSignal): Promise<Outcome> {
    const { csr } = question;
    let address: Promise<string | undefined> | undefined;
    const findAddress = () => address ??= deps.findAddress?.(csr) ?? Promise.resolve(undefined);
    let isFirstToWait = false;
    const verdict = await decideFrom(
      {
        ...deps.sources,
        hasRoom() {
          const admission = states.admit(name, getRequester(csr));
          isFirstToWait = admission.kind === "wait" && admission.isFirst;
          return admission.kind === "check";
        },
        findExcess: async (_csr, names) => states.findExcess(name, names, await findAddress()),
      },
      question,
      signal,
    );
    if (isFirstToWait) await reportTooMany(csr, signal);
    if (verdict.binding !== undefined && !isDryRun) {
      if (secrets === undefined) throw new Error("cannot bind a bootstrap token: the approver has no store of Secrets");
      const { secret, key } = verdict.binding;
      const metadata = { ...secret.metadata, annotations: withBoundKey(secret, key) };
      // If another request has bound the token meanwhile, this write conflicts, and the request is decided again.
      await secrets.update({ ...secret, metadata }, signal);
    }
    const place = { name, state: states.get(name), address: await address };
    const step = planApprovalStep(place, verdict, isDryRun);
    switch (step.kind) {
      case "retry": {
        if (!isListing(verdict)) return { kind: "retry", error: new AppError("unreachable", step.message) };
        logger.debug("CSR waits for evidence", toLogFields(csr, verdict));
        return { kind: "requeueAfter", ms: LIST_WAIT_MS };
      }
      case "decide": {
        const decided = (step.decision.kind === "approve" ? withApproval : withDenial)(csr, step.decision);
        if (!decided.ok) return DONE;
        deps.onDecided(await store.update(decided.value, signal, "approval"));
        await report(csr, verdict, step.report, signal);
        return DONE;
      }
      case "keep": {
        requeue.fire(states.set(name, getRequester(csr), step.state));
        if (step.report !== undefined) {
          if (verdict.stage === "hold" && verdict.hold !== undefined) deps.onHeld?.(verdict.hold.kind);
          await report(csr, verdict, step.report, signal);
        } else logger.debug("CSR stays pending", toLogFields(csr, verdict));
        return toOutcome(step.recheck);
      }
    }
  }

  /** True while the evidence of the verdict's stage is being listed for the first time. */
  function isListing({ stage }: Verdict): boolean {
    if (stage === "hold") return certificates?.isStarting() === true;
    return (stage === "denials" || stage === "policies") && nodes?.isStarting() === true;
  }

  async function report(
    csr: CertificateSigningRequest,
    verdict: Verdict,
    { log, isWarning = false, event }: StepReport,
    signal: AbortSignal,
  ): Promise<void> {
    logger[isWarning ? "warn" : "info"](log, toLogFields(csr, verdict));
    if (event !== undefined) await events.record(csr, event, signal);
  }

  async function reportTooMany(csr: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
    const requester = getRequester(csr);
    const clear = `tlsboot delete csr --pending-of ${shellWord(requester)}`;
    logger.warn("a requester has too many pending requests, further ones are not checked", {
      requester,
      pending: maxPending,
      clear,
    });
    const note = `${maxPending} requests of "${escapeControls(requester)}" stay pending; this one and later ones are ` +
      `not checked until there are fewer. To delete them: ${clear}`;
    await events.record(csr, { type: "Warning", reason: "TooManyRequests", note }, signal, true);
  }

  const triggers: Trigger[] = [requeue];
  if (nodes !== undefined) {
    triggers.push({ changes: nodes.changes, nameFor: () => states.list("pending", "simulated") });
  }
  if (settings.changes !== undefined) {
    const nameFor = () => states.list("pending", "held", "simulated", "unmatched");
    triggers.push({ changes: settings.changes, nameFor });
  }
  if (certificates?.changes !== undefined) {
    triggers.push({
      changes: certificates.changes,
      // A revocation of the node's certificate may release a request.
      nameFor(record) {
        const certificate = readRecordedNodeCertificate(record as IssuedCertificate);
        if (certificate === undefined) return [];
        const { node } = certificate;
        return node === undefined ? states.list("held") : states.listHeld(`node ${node}`);
      },
    });
  }
  return { reconcile, triggers };
}

function getRequester({ spec }: CertificateSigningRequest): string {
  return spec.username ?? "";
}

function toOutcome(recheck: Recheck): Outcome {
  switch (recheck.kind) {
    case "onChange":
      return DONE;
    case "after":
      return { kind: "requeueAfter", ms: recheck.ms };
    case "backoff":
      return { kind: "requeueAfter", ms: Math.min(backoffMs(recheck.checks), recheck.maxMs ?? Infinity) };
  }
}

function toLogFields(
  { metadata: { name }, spec }: CertificateSigningRequest,
  { policy, rule, message }: Verdict,
): Readonly<Record<string, unknown>> {
  return { csr: name, signerName: spec.signerName, username: spec.username, policy, rule, why: message };
}

/**
 * Records verdicts as Events (`events.k8s.io/v1`) about the request, in namespace `default`, which Kubernetes' recorders
 * use for objects without a namespace. The requests of one requester share a token bucket, as the events of one object do
 * in client-go's spam filter.
 */
export interface VerdictEvents {
  /**
   * Writes an Event. It rejects only when the signal aborts; other failures are logged. `urgent` ignores the token
   * bucket.
   */
  record(csr: CertificateSigningRequest, event: VerdictEvent, signal: AbortSignal, urgent?: boolean): Promise<void>;
}

/** The dependencies of a recorder. */
export interface VerdictEventsOptions {
  /** The Events of namespace `default`. */
  readonly store: Pick<ObjectStore<EventV1>, "create">;
  /** The name of this process, for the field `reportingInstance`. */
  readonly instance: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** client-go's EventSourceObjectSpamFilter: 25 at once, then one in five minutes. */
const SPAM = { burst: 25, refillMs: 300_000 };
/** The largest size of a note in `events.k8s.io/v1`, in bytes. */
const MAX_NOTE_BYTES = 1_024;
/**
 * Matches the request names that can begin an Event's name. A request may have any name, but the name of an Event is a
 * DNS subdomain of at most 253 characters, including the suffix.
 */
const EVENT_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,230}[a-z0-9])?$/;
const ACTION = "Approving";
const CONTROLLER = "tlsboot-approver";

/** Creates a recorder of verdicts. */
export function createVerdictEvents(options: VerdictEventsOptions): VerdictEvents {
  const { store, clock, random, logger } = options;
  const buckets = createTokenBuckets(() => clock.elapsedMs(), SPAM);

  function isSpam(requester: string): boolean {
    buckets.sweep();
    return !buckets.take(requester);
  }

  return {
    async record(csr, event, signal, urgent = false) {
      const name = getName(csr);
      if (!urgent && isSpam(csr.spec.username ?? "")) {
        logger.debug("event dropped, too many for one requester", { csr: name, reason: event.reason });
        return;
      }
      try {
        await store.create(createEvent(csr, event, options, random.bytes(8)), signal);
      } catch (error) {
        signal.throwIfAborted();
        logger.warn("event cannot be written", { csr: name, reason: event.reason, error: getErrorMessage(error) });
      }
    },
  };
}

function createEvent(
  csr: CertificateSigningRequest,
  { type, reason, note }: VerdictEvent,
  { clock, instance }: VerdictEventsOptions,
  suffix: Uint8Array,
): EventV1 {
  const name = getName(csr);
  const { uid, resourceVersion } = csr.metadata;
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: `${EVENT_NAME.test(name) ? name : "csr"}.${encodeHex(suffix)}`, namespace: EVENT_NAMESPACE },
    eventTime: formatMicroTime(clock.now()),
    reportingController: CONTROLLER,
    reportingInstance: instance,
    action: ACTION,
    reason,
    regarding: {
      kind: "CertificateSigningRequest",
      name,
      ...(uid === undefined ? {} : { uid }),
      apiVersion: "certificates.k8s.io/v1",
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    note: shorten(note),
    type,
    deprecatedSource: {},
    deprecatedFirstTimestamp: null,
    deprecatedLastTimestamp: null,
  };
}

function shorten(note: string): string {
  const bytes = new TextEncoder().encode(note);
  if (bytes.length <= MAX_NOTE_BYTES) return note;
  const dots = "…";
  const room = MAX_NOTE_BYTES - new TextEncoder().encode(dots).length;
  // Drops a character that the limit cut in two.
  return trimEndChars(new TextDecoder().decode(bytes.slice(0, room)), "\uFFFD") + dots;
}
