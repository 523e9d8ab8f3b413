/**
 * Records verdicts as Events (`events.k8s.io/v1`) about the request, in namespace `default`, which Kubernetes' recorders
 * use for objects without a namespace. The requests of one requester share a token bucket, as the events of one object do
 * in client-go's spam filter.
 */
import { EVENT_NAMESPACE } from "../../core/approval/approver_rbac.ts";
import type { VerdictEvent } from "../../core/approval/request_states.ts";
import { getErrorMessage } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { formatMicroTime, getName } from "../../core/kube/meta.ts";
import type { Clock, Logger, ObjectStore, Random } from "../../core/ports.ts";
import { createTokenBuckets } from "../../core/lib/token_buckets.ts";
import { trimEndChars } from "../../core/lib/trim.ts";
import { encodeHex } from "../../core/lib/encodings.ts";

/** Records Events about approvals, denials and open questions. */
export interface VerdictEvents {
  /** Writes an Event. It rejects only for the signal; other failures are logged. `urgent` ignores the token bucket. */
  record(csr: CertificateSigningRequest, event: VerdictEvent, signal: AbortSignal, urgent?: boolean): Promise<void>;
}

/** The dependencies of a recorder. */
export interface VerdictEventsOptions {
  /** The Events of namespace `default`. */
  readonly store: Pick<ObjectStore<EventV1>, "create">;
  /** The reporting instance, which names this process. */
  readonly instance: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** client-go's EventSourceObjectSpamFilter: 25 at once, then one in five minutes. */
const SPAM = { burst: 25, refillMs: 300_000 };
/** The largest size of a note in `events.k8s.io/v1`, in bytes. */
const LONGEST_NOTE = 1_024;
/**
 * Matches names that an Event may be derived from. A request may have any name, but the name of an Event is a DNS
 * subdomain of at most 253 characters, including the suffix.
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
        logger.debug("event dropped, its requester has had too many", { csr: name, reason: event.reason });
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
  if (bytes.length <= LONGEST_NOTE) return note;
  const dots = "…";
  const room = LONGEST_NOTE - new TextEncoder().encode(dots).length;
  // A character that the limit cuts in two is dropped.
  return trimEndChars(new TextDecoder().decode(bytes.slice(0, room)), "\uFFFD") + dots;
}
