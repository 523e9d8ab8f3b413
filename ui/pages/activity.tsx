/**
 * The page of past events, newest first: requests and the decisions about them, certificates, revocations, uses of
 * tokens, and warnings. Everything is derived from existing objects, so it reaches back only as far as they do.
 */
import type { Event } from "../../core/kube/kinds/core_v1.ts";
import type { IssuedCertificate, RequestRecord, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { getName } from "../../core/kube/meta.ts";
import { listAlternativeNames } from "../../core/pki/x509/subject_alternative_names.ts";
import { getSigner, isCertificateRecord, shortenSerial } from "../../core/report/record_rows.ts";
import { shortenSignerName } from "../../core/report/request_summary.ts";
import { formatIdentity, parseIdentity } from "../../core/report/words.ts";
import { findRevocationTarget } from "../../core/revocation/revocation.ts";
import { DataTable, Moment } from "../layout.tsx";
import type { UiElement, UiPage } from "../page.ts";
import { describeFoundRows, ListFilter, MissingNotes, readListFilter, takePage } from "../parts.tsx";
import {
  readCertificates,
  readIfPossible,
  readTokens,
  RECORD_WATCH,
  REQUEST_CERTIFICATE_WATCH,
  REQUEST_EVENT_WATCH,
  REQUEST_RECORD_WATCH,
  REVOCATION_WATCH,
  TOKEN_WATCH,
} from "../sources.ts";
import { type ActivityRequest, REQUESTS } from "./requests.tsx";

export const activityPage: UiPage = {
  path: "/activity",
  nav: "Activity",
  live: [
    ...[REQUESTS.id, REQUEST_RECORD_WATCH.id, RECORD_WATCH.id, REQUEST_CERTIFICATE_WATCH.id],
    ...[REVOCATION_WATCH.id, TOKEN_WATCH.id, REQUEST_EVENT_WATCH.id],
  ],
  async render(context) {
    const { query, now } = context;
    const [requests, decisions, certificates, revocations, tokens, events] = await Promise.all([
      readIfPossible(context, REQUESTS, "certificate signing requests"),
      readIfPossible(context, REQUEST_RECORD_WATCH, "the server's records of who decided"),
      readCertificates(context),
      readIfPossible(context, REVOCATION_WATCH, "revocations"),
      readTokens(context),
      readIfPossible(context, REQUEST_EVENT_WATCH, "events"),
    ]);
    const all = listActivity({
      requests: requests.entries.values(),
      decisions: decisions.entries.values(),
      records: certificates.rows.map(({ record }) => record),
      revocations: revocations.entries.values(),
      tokens: tokens.tokens,
      events: events.entries.values(),
    });
    const { chosen: kind, words } = readListFilter(query, "kind", ACTIVITY_KINDS);
    const found = all.filter((one) =>
      (kind === undefined || one.kind === kind) && `${one.text} ${one.by}`.toLowerCase().includes(words)
    );
    const { rows, pager } = takePage(found, "/activity", query);
    return {
      title: "Activity",
      body: (
        <>
          <p class="faint">
            The events that the objects on the server record. Requests are deleted after hours or days; the audit log
            has every action.
          </p>
          <MissingNotes
            notes={[
              requests.missing,
              decisions.missing,
              ...certificates.missing,
              revocations.missing,
              tokens.missing,
              events.missing,
            ]}
          />
          <ListFilter
            action="/activity"
            query={query}
            choice={{ name: "kind", label: "Kind", values: ACTIVITY_KINDS }}
          />
          <div id="activity-list" data-swap>
            <DataTable
              caption={describeFoundRows(found.length, all.length, "entries")}
              rows={rows}
              empty="No event matches."
              isCompact
              columns={[
                { heading: "Time", cell: ({ at }) => <Moment at={at} now={now} /> },
                { heading: "Kind", cell: (one) => <KindMark kind={one.kind} /> },
                { heading: "Event", cell: (one) => <EventText activity={one} /> },
                { heading: "By", cell: ({ by }) => by || "–" },
              ]}
            />
            {pager}
          </div>
        </>
      ),
    };
  },
};

const KIND_CLASS: Readonly<Record<ActivityKind, string>> = {
  requested: "wait",
  approved: "good",
  denied: "bad",
  failed: "bad",
  issued: "good",
  revoked: "bad",
  token: "faint",
  warning: "wait",
};

function KindMark({ kind }: { readonly kind: ActivityKind }): UiElement {
  return <span class={`state ${KIND_CLASS[kind]}`}>{kind}</span>;
}

const PATHS = {
  request: "/requests/",
  certificate: "/certificates/",
  revocation: "/revocations/",
  token: "/tokens/",
} as const;

function EventText({ activity: { text, about } }: { readonly activity: Activity }): UiElement {
  if (about === undefined) return <span>{text}</span>;
  return <a class="plain" href={`${PATHS[about.kind]}${encodeURIComponent(about.name)}`}>{text}</a>;
}

/** The kinds of activity, in the order in which a filter offers them. */
const ACTIVITY_KINDS = [
  "requested",
  "approved",
  "denied",
  "failed",
  "issued",
  "revoked",
  "token",
  "warning",
] as const;

/** A kind from the list `ACTIVITY_KINDS`. */
type ActivityKind = typeof ACTIVITY_KINDS[number];

/** The object of an event. Its page is linked. */
interface ActivitySubject {
  readonly kind: "request" | "certificate" | "revocation" | "token";
  /** The name, the serial number or the id by which the object is found; its short form is in the text. */
  readonly name: string;
}

/** One event. Its texts contain what clients sent, so the page escapes them. */
export interface Activity {
  /** The time of the event, in RFC 3339. */
  readonly at: string;
  readonly kind: ActivityKind;
  /** The event, as a sentence without a full stop. */
  readonly text: string;
  /** The user who did it, as text; empty if unknown. */
  readonly by: string;
  readonly about: ActivitySubject | undefined;
}

/** The recorded uses of a bootstrap token. */
interface TokenActivity {
  readonly id: string;
  readonly createdBy?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly lastUse?: { readonly time: string; readonly address: string } | undefined;
  readonly lastRefusal?: { readonly time: string; readonly address: string; readonly reason: string } | undefined;
}

/** Everything that is known; a source that cannot be read is empty. */
export interface ActivityInput {
  readonly requests?: Iterable<ActivityRequest>;
  readonly decisions?: Iterable<Pick<RequestRecord, "metadata" | "status">>;
  readonly records?: Iterable<IssuedCertificate>;
  readonly revocations?: Iterable<Revocation>;
  readonly tokens?: Iterable<TokenActivity>;
  readonly events?: Iterable<Event>;
}

/** Lists all events, newest first. */
export function listActivity(input: ActivityInput): readonly Activity[] {
  const deciders = new Map<string, string>();
  for (const { metadata, status } of input.decisions ?? []) {
    if (status.decision !== undefined) {
      deciders.set(`${metadata.name ?? ""} ${status.decision.type}`, status.decision.username);
    }
  }
  const all = [
    ...flatten(input.requests, (request) => listRequestEvents(request, deciders)),
    ...flatten(input.records, listRecordEvents),
    ...flatten(input.revocations, listRevocationEvents),
    ...flatten(input.tokens, listTokenEvents),
    ...flatten(input.events, listWarningEvents),
  ];
  // Each time is parsed once, because there may be some ten thousand events.
  return all.map((one) => ({ one, time: Date.parse(one.at) }))
    .sort((a, b) => b.time - a.time || KIND_ORDER[b.one.kind] - KIND_ORDER[a.one.kind])
    .map(({ one }) => one);
}

/** Times have a resolution of one second, so at equal times the later step counts as the later event. */
const KIND_ORDER = Object.fromEntries(ACTIVITY_KINDS.map((kind, index) => [kind, index])) as Readonly<
  Record<ActivityKind, number>
>;

function flatten<T>(items: Iterable<T> = [], list: (item: T) => readonly (Activity | undefined)[]): Activity[] {
  return [...items].flatMap(list).filter((one): one is Activity => one !== undefined);
}

/** Creates an entry; undefined without a time, because it cannot be sorted. */
function entry(
  at: string | null | undefined,
  kind: ActivityKind,
  text: string,
  by: string,
  about: ActivitySubject | undefined,
): Activity | undefined {
  if (at === undefined || at === null || Number.isNaN(Date.parse(at))) return undefined;
  return { at, kind, text, by: by === "" ? "" : formatIdentity(parseIdentity(by)), about };
}

const DECIDED = { Approved: "approved", Denied: "denied", Failed: "failed" } as const;

function listRequestEvents(
  { name, username, for: subject, signer, createdAt, decisions }: ActivityRequest,
  deciders: ReadonlyMap<string, string>,
): readonly (Activity | undefined)[] {
  const about = { kind: "request", name } as const;
  const what = `${subject} (${signer})`;
  return [
    entry(createdAt, "requested", `a certificate was requested for ${what}`, username, about),
    ...decisions.map(({ type, reason, message, at }) => {
      const verb = type === "Failed" ? "the signer refused the request for" : `the request was ${DECIDED[type]} for`;
      const why = [reason, message].filter((one) => one !== "").join(": ");
      const decider = deciders.get(`${name} ${type}`) ?? "";
      return entry(at, DECIDED[type], `${verb} ${what}${why === "" ? "" : `: ${why}`}`, decider, about);
    }),
  ];
}

function listRecordEvents(record: IssuedCertificate): readonly (Activity | undefined)[] {
  if (!isCertificateRecord(record)) return [];
  const { serialNumber, subject, issuedAt, requester, notAfter } = record.spec;
  const whom = subject ?? listAlternativeNames(record.spec).join(", ");
  const signer = shortenSignerName(getSigner(record));
  const text = `certificate ${shortenSerial(serialNumber ?? "")} was issued for ${whom} (${signer})` +
    (notAfter === null ? "" : `, until ${notAfter}`);
  const about = serialNumber === undefined ? undefined : { kind: "certificate", name: serialNumber } as const;
  return [entry(issuedAt, "issued", text, requester?.username ?? "", about)];
}

function listRevocationEvents(revocation: Revocation): readonly (Activity | undefined)[] {
  const { spec: { reason, message = "" }, status: { revokedBy = "", time } } = revocation;
  const { kind, value } = findRevocationTarget(revocation.spec) ?? { kind: "serial", value: "" };
  const what = kind === "serial" ? `certificate ${shortenSerial(value)}` : `${kind} ${value}`;
  const text = `${what} was revoked: ${reason}${message === "" ? "" : `: ${message}`}`;
  return [entry(time, "revoked", text, revokedBy, { kind: "revocation", name: getName(revocation) })];
}

function listTokenEvents(token: TokenActivity): readonly (Activity | undefined)[] {
  const { id, createdBy = "", createdAt, lastUse, lastRefusal } = token;
  const about = { kind: "token", name: id } as const;
  const from = (address: string) => address === "" ? "" : ` from ${address}`;
  return [
    entry(createdAt, "token", `token ${id} was created`, createdBy, about),
    lastUse && entry(lastUse.time, "token", `token ${id} was used${from(lastUse.address)}`, "", about),
    lastRefusal && entry(
      lastRefusal.time,
      "token",
      `token ${id} was refused${from(lastRefusal.address)}: ${lastRefusal.reason}`,
      "",
      about,
    ),
  ];
}

/** Lists only warnings about requests, because other events repeat what the objects say. */
function listWarningEvents(event: Event): readonly (Activity | undefined)[] {
  const { involvedObject: { kind, name = "" }, type, reason = "", message = "" } = event;
  if (kind !== "CertificateSigningRequest" || type !== "Warning") return [];
  const at = event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp;
  const text = `request ${name}: ${reason}${message === "" ? "" : `: ${message}`}`;
  return [entry(at, "warning", text, "", { kind: "request", name })];
}
