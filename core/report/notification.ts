/**
 * Notifications for a person: the events that cause them, their texts, and the grouping of many events into one
 * message. The shape of `Notification` is public; docs/guides/notifications.md describes it.
 */
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import type { Event } from "../kube/kinds/core_v1.ts";
import { formatTime, getName } from "../kube/meta.ts";
import { capitalize, escapeControls, shellWord } from "../lib/printable.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { parseRequest } from "../request/parse_request.ts";
import { describeStored } from "./health/certificates.ts";
import { describeInSentence } from "./sentence.ts";
import { quoteUnlessPlain } from "./words.ts";
import { DAY_MS } from "../lib/duration.ts";

/** The object of an event. One that is not in the API, such as a certificate or a file, has a descriptive name. */
interface NotifiedObject {
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** One event that a person should know about. */
export interface NotifiedEvent {
  readonly kind: NotificationKind;
  /** The event in one sentence without a full stop. */
  readonly sentence: string;
  readonly object: NotifiedObject;
  /** The next step, a sentence that ends with a command and without a full stop. */
  readonly next?: string | undefined;
}

/** The body of a notification. Gotify reads `title`, `message` and `priority`. */
export interface Notification {
  readonly kind: NotificationKind;
  readonly title: string;
  /** The sentence, the next step, and the number of other events. */
  readonly message: string;
  /** The urgency from 0 to 10. */
  readonly priority: number;
  /** The first event in one sentence without a full stop. */
  readonly sentence: string;
  /** The first objects, ten at most. */
  readonly objects: readonly NotifiedObject[];
  /** The URL of the API server. */
  readonly server: string;
  /** When the message was made, RFC 3339. */
  readonly time: string;
  /** The number of events in the message. */
  readonly count: number;
}

/** Sends notifications to a receiver, such as ntfy or Gotify. */
export interface NotificationSender {
  /** The host of the receiver, which logs show. */
  readonly host: string;
  /**
   * Resolves when the receiver has accepted the notification. Rejects with AppError `api_error` when it refuses,
   * `retryable` if the receiver itself has failed; with `unreachable` or `tls_untrusted` when it cannot be reached.
   */
  send(notification: Notification, signal: AbortSignal): Promise<void>;
}

/** The title of a message for one event and for several, ntfy's priority from 1 to 5, and ntfy's tag, which is an emoji. */
interface KindWords {
  readonly one: string;
  readonly many: string;
  readonly urgency: 3 | 4 | 5;
  readonly tag: string;
}

const KINDS = {
  RequestPending: { one: "A request is pending", many: "requests are pending", urgency: 4, tag: "hourglass" },
  NameClaimed: {
    one: "A machine claims the name of another",
    many: "requests claim the names of other machines",
    urgency: 5,
    tag: "rotating_light",
  },
  CredentialRefused: {
    one: "A revoked or used credential was refused",
    many: "uses of revoked or used credentials were refused",
    urgency: 5,
    tag: "rotating_light",
  },
  CertificateEnding: {
    one: "A certificate ends soon",
    many: "certificates end soon",
    urgency: 3,
    tag: "warning",
  },
  CaEnding: { one: "A CA ends soon", many: "CAs end soon", urgency: 4, tag: "warning" },
  BackupOld: { one: "A backup cannot be relied on", many: "backups cannot be relied on", urgency: 3, tag: "warning" },
  Test: { one: "Test message", many: "test messages", urgency: 3, tag: "white_check_mark" },
} as const satisfies Readonly<Record<string, KindWords>>;

export type NotificationKind = keyof typeof KINDS;

/** How long before its expiry a CA is reported. */
export const CA_ENDING_MS = 90 * DAY_MS;
const MAX_OBJECTS = 10;
/** How long after the first event later ones are added to the same message. */
const GATHER_MS = 5_000;
/** The shortest time between two messages of a kind. */
const PAUSE_MS = 60_000;

/** The kinds of the Events that the approver and the server write, by reason. */
const REASONS: ReadonlyMap<string, NotificationKind> = new Map([
  ["NameClaimed", "NameClaimed"],
  ["RevokedCredentialUsed", "CredentialRefused"],
  ["BootstrapTokenRefused", "CredentialRefused"],
  ["NodeRecoveryRefused", "CredentialRefused"],
]);

/** Returns the notice of an Event; undefined for an Event that needs no notification. */
export function readEventNotice({ reason = "", message = "", involvedObject }: Event): NotifiedEvent | undefined {
  const kind = REASONS.get(reason);
  if (kind === undefined) return undefined;
  const { kind: object = "", namespace, name = "" } = involvedObject;
  return { kind, sentence: escapeControls(message), object: { kind: object, namespace, name } };
}

/** Creates the notice of a pending request, with its sentence. */
export function createPendingNotice(csr: CertificateSigningRequest, now: Date): NotifiedEvent {
  const { username = "", signerName, expirationSeconds, request } = csr.spec;
  const facts = parseRequest(request);
  const sentence = describeInSentence({
    username,
    signerName,
    expirationSeconds,
    facts: facts.ok ? facts.value : undefined,
    token: undefined,
    history: "unknown",
    isClaim: false,
    isPending: true,
    now,
  });
  const name = getName(csr);
  return {
    kind: "RequestPending",
    sentence: escapeControls(capitalize(sentence)),
    object: { kind: "CertificateSigningRequest", name },
    next: `To look at it: tlsboot describe csr ${shellWord(escapeControls(name))}`,
  };
}

/** Creates the notice of a CA; undefined while it is valid for long enough. `notAfter` is the end of its chain. */
export function createCaNotice(ca: CertificateFacts, notAfter: Date, now: Date): NotifiedEvent | undefined {
  if (notAfter.getTime() - now.getTime() >= CA_ENDING_MS) return undefined;
  const name = escapeControls(describeStored(ca));
  const sentence = `${name} ends at ${formatTime(notAfter)}, and its certificates end with it`;
  return { kind: "CaEnding", sentence, object: { kind: "CA", name }, next: "To replace it: tlsboot guide new_ca" };
}

/** Creates the notice of a certificate that is not renewed. */
export function createCertificateNotice(subject: string, signerName: string, notAfter: Date): NotifiedEvent {
  const name = quoteUnlessPlain(subject);
  const sentence = `The certificate of ${name} from ${quoteUnlessPlain(signerName)} ends at ${formatTime(notAfter)}, ` +
    "and is not renewed";
  return {
    kind: "CertificateEnding",
    sentence,
    object: { kind: "Certificate", name },
    next: "To see which end soon: tlsboot get certificates --expires-within 30d",
  };
}

/** Creates one notification for `count` notices of a kind. `first` has the first of them. */
export function createNotification(
  { first: [notice, ...more], count }: {
    readonly first: readonly [NotifiedEvent, ...NotifiedEvent[]];
    readonly count: number;
  },
  { server, now }: { readonly server: string; readonly now: Date },
): Notification {
  const { kind, sentence, next } = notice;
  const { one, many, urgency } = KINDS[kind];
  const others = count === 1 ? "" : `\n${count - 1} more in this message.`;
  return {
    kind,
    title: `tlsboot: ${count === 1 ? one : `${count} ${many}`}`,
    message: (next === undefined ? sentence : `${sentence}. ${next}`) + others,
    priority: 2 * urgency - 1,
    sentence,
    objects: [notice, ...more].map(({ object }) => object),
    server,
    time: formatTime(now),
    count,
  };
}

/** Creates a test message, which contains the name of the sending host. */
export function createTestNotification(host: string, now: Date): Notification {
  const sentence = `The notifications of tlsboot on ${quoteUnlessPlain(host)} arrive here`;
  const notice: NotifiedEvent = { kind: "Test", sentence, object: { kind: "Host", name: host } };
  return createNotification({ first: [notice], count: 1 }, { server: "", now });
}

/**
 * Lists the headers for ntfy. The template takes the message from the JSON body, so no header contains a client's text.
 */
export function listNtfyHeaders({ kind, title }: Notification): Readonly<Record<string, string>> {
  const { urgency, tag } = KINDS[kind];
  return { title, priority: String(urgency), tags: tag, template: "yes", message: "{{.message}}" };
}

/** The notices of one kind that wait for their message. */
interface Group {
  first: [NotifiedEvent, ...NotifiedEvent[]];
  count: number;
  dueMs: number;
}

/** Gathers notices, so that a person gets at most one message of each kind per minute. */
export class NoticeGroups {
  readonly #waiting = new Map<NotificationKind, Group>();
  readonly #sentMs = new Map<NotificationKind, number>();

  add(notice: NotifiedEvent, nowMs: number): void {
    const group = this.#waiting.get(notice.kind);
    if (group === undefined) {
      const dueMs = Math.max(nowMs + GATHER_MS, (this.#sentMs.get(notice.kind) ?? -Infinity) + PAUSE_MS);
      this.#waiting.set(notice.kind, { first: [notice], count: 1, dueMs });
      return;
    }
    group.count++;
    if (group.first.length < MAX_OBJECTS) group.first.push(notice);
  }

  /** Returns the groups whose message is due, and forgets them. */
  takeDue(nowMs: number): readonly Pick<Group, "first" | "count">[] {
    const due = [...this.#waiting].filter(([, { dueMs }]) => dueMs <= nowMs);
    for (const [kind] of due) {
      this.#waiting.delete(kind);
      this.#sentMs.set(kind, nowMs);
    }
    return due.map(([, group]) => group);
  }
}
