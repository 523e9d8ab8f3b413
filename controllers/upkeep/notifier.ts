/**
 * Notifies a person of pending requests, of Events about claimed names and refused credentials, and of what the caller
 * finds: certificates and CAs that expire soon, and backups that are too old. A person is reminded of each once a day.
 * Messages are queued while the receiver does not accept them.
 */
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Clock, Logger, ObjectChanges } from "../../core/ports.ts";
import {
  createNotification,
  createPendingNotice,
  NoticeGroups,
  type Notification,
  type NotificationSender,
  type NotifiedEvent,
  readEventNotice,
} from "../../core/report/notification.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { backoffMs } from "../engine/loop.ts";

export interface NotifierOptions {
  readonly sender: NotificationSender;
  /** The URL of the API server, which every notification contains. */
  readonly server: string;
  /** The requests; absent for a signer of pod certificates, which no one approves. */
  readonly requests?: ObjectChanges<CertificateSigningRequest> | undefined;
  readonly events: ObjectChanges<Event>;
  /** Finds what expires soon, such as certificates. Called once an hour. */
  readonly findEnding?: (() => Promise<readonly NotifiedEvent[]>) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Counts messages that were sent or dropped, and attempts that failed. */
  readonly onResult?: ((result: "sent" | "failed" | "dropped") => void) | undefined;
}

const TICK_MS = 1_000;
/** How long a request may be pending before a person is notified. */
const APPROVER_MS = 10_000;
/** The age up to which Events that were written before the start are reported. */
const RECENT_MS = 60_000;
const CHECK_MS = 3_600_000;
/** How often a person is reminded of the same object. */
const REMIND_MS = 24 * CHECK_MS;
const MAX_QUEUE = 100;
const MAX_PAUSE_MS = 300_000;

/** Notifies until the signal aborts. Nothing else waits for it. */
export async function runNotifier(options: NotifierOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, requests, events } = options;
  const groups = new NoticeGroups();
  const add = (notice: NotifiedEvent): void => groups.add(notice, clock.elapsedMs());
  /** Pending requests that have not been reported. */
  const pending = new Map<string, { readonly csr: CertificateSigningRequest; readonly dueMs: number }>();
  /** The names of pending requests that have been reported. */
  const reported = new Set<string>();
  const deliver = createDelivery(options);

  async function followRequests(source: ObjectChanges<CertificateSigningRequest>): Promise<void> {
    for await (const change of source.changes(signal)) {
      if (change.kind === "synced") continue;
      const name = getName(change.object);
      if (change.kind === "deleted" || getCsrPhase(change.object).kind !== "pending") {
        pending.delete(name);
        reported.delete(name);
      } else if (!pending.has(name) && !reported.has(name)) {
        pending.set(name, { csr: change.object, dueMs: clock.elapsedMs() + APPROVER_MS });
      }
    }
  }

  async function followEvents(): Promise<void> {
    const seen = new Set<string>();
    let isSynced = false;
    for await (const change of events.changes(signal)) {
      if (change.kind === "synced") {
        isSynced = true;
        continue;
      }
      const key = toEventKey(change.object);
      if (change.kind === "deleted") seen.delete(key);
      else if (!seen.has(key)) {
        seen.add(key);
        const notice = readEventNotice(change.object);
        if (notice === undefined || !isSynced && !isRecent(change.object, clock.now())) continue;
        // An Event says more about a request than the notice of a pending request.
        if (notice.object.kind === "CertificateSigningRequest") {
          pending.delete(notice.object.name);
          reported.add(notice.object.name);
        }
        add(notice);
      }
    }
  }

  const remindedMs = new Map<string, number>();
  async function check(): Promise<void> {
    for (const notice of await options.findEnding?.() ?? []) {
      const key = `${notice.kind} ${notice.object.name}`;
      if (clock.elapsedMs() - (remindedMs.get(key) ?? -Infinity) < REMIND_MS) continue;
      remindedMs.set(key, clock.elapsedMs());
      add(notice);
    }
  }

  async function run(): Promise<void> {
    let nextCheckMs = 0;
    while (true) {
      await clock.sleep(TICK_MS, signal);
      const nowMs = clock.elapsedMs();
      for (const [name, { csr, dueMs }] of pending) {
        if (dueMs > nowMs) continue;
        pending.delete(name);
        reported.add(name);
        add(createPendingNotice(csr, clock.now()));
      }
      if (nowMs >= nextCheckMs) {
        nextCheckMs = nowMs + CHECK_MS;
        await check().catch((error: unknown) => logger.warn("cannot find certificates that expire soon", { error }));
      }
      const { server } = options;
      await deliver(
        groups.takeDue(nowMs).map((group) => createNotification(group, { server, now: clock.now() })),
        signal,
      );
    }
  }

  logger.info("notifications are sent", { host: options.sender.host });
  await Promise.all([...(requests === undefined ? [] : [followRequests(requests)]), followEvents(), run()]);
}

/**
 * Creates a function that queues new notifications, and sends the queue, oldest first, with a pause after each failure.
 */
function createDelivery(
  { sender, clock, logger, onResult }: NotifierOptions,
): (added: readonly Notification[], signal: AbortSignal) => Promise<void> {
  const queue: Notification[] = [];
  let failures = 0;
  let retryMs = 0;
  let isRefused = false;
  return async (added, signal) => {
    queue.push(...added);
    for (const { kind, count } of queue.splice(0, Math.max(0, queue.length - MAX_QUEUE))) {
      onResult?.("dropped");
      logger.warn("notification dropped, because too many wait", { kind, count });
    }
    while (queue[0] !== undefined && clock.elapsedMs() >= retryMs) {
      try {
        await sender.send(queue[0], signal);
        if (failures > 0) logger.info("notifications are accepted again", { host: sender.host });
        failures = 0;
        isRefused = false;
        onResult?.("sent");
      } catch (error) {
        signal.throwIfAborted();
        const reason = { host: sender.host, error: getErrorMessage(error) };
        onResult?.("failed");
        if (!isAppError(error, "api_error") || error.retryable) {
          if (failures === 0) logger.warn("notification cannot be sent, trying again", reason);
          failures++;
          retryMs = clock.elapsedMs() + Math.min(backoffMs(failures), MAX_PAUSE_MS);
          return;
        }
        if (!isRefused) logger.error("notification refused and dropped, as are all that follow", reason);
        isRefused = true;
        onResult?.("dropped");
      }
      queue.shift();
    }
  };
}

/** Returns the namespace and name of an Event; a deletion in the storage has both in its name. */
function toEventKey({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? `${name}` : `${namespace}/${name}`;
}

function isRecent({ eventTime, lastTimestamp, metadata }: Event, now: Date): boolean {
  const at = eventTime ?? lastTimestamp ?? metadata.creationTimestamp;
  return now.getTime() - Date.parse(at ?? "") < RECENT_MS;
}
