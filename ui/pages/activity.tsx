/** The page of past events, newest first. */
import { type Activity, ACTIVITY_KINDS, type ActivityKind, listActivity } from "../activity.ts";
import { DataTable, Moment } from "../layout.tsx";
import type { UiElement, UiPage } from "../page.ts";
import { describeFoundRows, ListFilter, MissingNotes, takePage } from "../parts.tsx";
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
import { REQUESTS } from "./requests.tsx";

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
    const kind = ACTIVITY_KINDS.find((one) => one === query.get("kind"));
    const words = (query.get("q") ?? "").trim().toLowerCase();
    const found = all.filter((one) =>
      (kind === undefined || one.kind === kind) && `${one.text} ${one.by}`.toLowerCase().includes(words)
    );
    const { rows, pager } = takePage(found, "/activity", query);
    return {
      title: "Activity",
      body: (
        <>
          <p class="faint">
            The events that the objects of the server record. Requests are deleted after hours or days; the audit log
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
