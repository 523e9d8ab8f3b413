/** The list of requests: pending ones first, the newest first among them. */
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../../core/kube/kinds/mod.ts";
import { type ActivityRequest, toActivityRequest } from "../../../core/review/activity.ts";
import { findMachineOfRequest } from "../../../core/review/machines.ts";
import { type CsrState, type RequestSummary, shortenNames } from "../../../core/review/request_summary.ts";
import type { UiCollection, UiWatch } from "../data.ts";
import { DataTable, Moment, Pager } from "../layout.tsx";
import type { UiContext, UiElement, UiPage } from "../page.ts";

/** A request as lists show it. */
export interface KeptRequest extends RequestSummary, ActivityRequest {
  /** The machine for which it is, or which has sent it. */
  readonly node: string | undefined;
}

/** The requests, of which the summaries are kept. */
export const REQUESTS: UiWatch<CertificateSigningRequest, KeptRequest> = {
  id: "requests",
  kind: certificateSigningRequestKind,
  keep: (csr) => ({ ...toActivityRequest(csr), node: findMachineOfRequest(csr) }),
};

/** The number of rows of a page of the list. */
const ROWS = 100;

const STATES: readonly CsrState[] = ["pending", "approved", "issued", "denied", "failed"];

/** The page that lists the requests. */
export const requestsPage: UiPage = {
  path: "/requests",
  nav: "Requests",
  live: [REQUESTS.id],
  async render(context) {
    const { query, now, signal, data } = context;
    const all = sortRequests(await data.read(REQUESTS, signal));
    const state = STATES.find((one) => one === query.get("state"));
    const words = (query.get("q") ?? "").trim().toLowerCase();
    const found = all.filter((row) => (state === undefined || row.state === state) && matches(row, words));
    const pages = Math.max(1, Math.ceil(found.length / ROWS));
    const page = Math.min(Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1), pages);
    const rows = found.slice((page - 1) * ROWS, page * ROWS);
    return {
      title: "Requests",
      body: (
        <>
          <div id="request-count" role="status" aria-live="polite" data-swap>
            <p class="lead">{describeCount(all)}</p>
          </div>
          <Filter context={context} />
          <div id="request-list" data-swap>
            <RequestTable rows={rows} now={now} caption={describeFound(found.length, all.length)} />
            <Pager page={page} pages={pages} href={(other) => formatHref(query, other)} />
          </div>
          <p>
            <a href="/expected">Approve the requests of expected machines</a>
          </p>
        </>
      ),
    };
  },
};

function RequestTable(
  { rows, now, caption }: { readonly rows: readonly RequestSummary[]; readonly now: Date; readonly caption: string },
): UiElement {
  return (
    <DataTable
      caption={caption}
      rows={rows}
      empty="No request matches."
      columns={[
        { heading: "State", cell: ({ state }) => <span class={`state ${state}`}>{state}</span> },
        {
          heading: "Name",
          cell: ({ name, shortName }) => <a href={`/requests/${encodeURIComponent(name)}`} title={name}>{shortName}</a>,
        },
        { heading: "For", cell: (row) => row.for },
        { heading: "Signer", cell: ({ signer, signerName }) => <span title={signerName}>{signer}</span> },
        { heading: "Requested by", cell: ({ requestedBy }) => requestedBy },
        { heading: "Requested", cell: ({ createdAt }) => <Moment at={createdAt} now={now} /> },
        { heading: "Expires", cell: ({ expiresAt }) => <Moment at={expiresAt} now={now} /> },
      ]}
    />
  );
}

function Filter({ context: { query } }: { readonly context: Pick<UiContext, "query"> }): UiElement {
  const chosen = query.get("state") ?? "";
  return (
    <form method="get" action="/requests" class="filter" role="search">
      <div>
        <label for="state">State</label>
        <select id="state" name="state">
          <option value="" selected={chosen === ""}>all</option>
          {STATES.map((state) => <option value={state} selected={state === chosen}>{state}</option>)}
        </select>
      </div>
      <div>
        <label for="q">Contains</label>
        <input id="q" name="q" type="search" value={query.get("q") ?? ""} />
      </div>
      <button type="submit">Show</button>
    </form>
  );
}

/** The order of a version of the requests, because sorting ten thousand of them takes longer than showing a page. */
const sorted = new WeakMap<object, { readonly version: number; readonly rows: readonly RequestSummary[] }>();

/** Sorts the requests, pending ones first and then the newest first, and shortens their names. */
export function sortRequests(collection: UiCollection<RequestSummary>): readonly RequestSummary[] {
  const { entries, version } = collection;
  const known = sorted.get(entries);
  if (known?.version === version) return known.rows;
  const shortNames = shortenNames([...entries.keys()]);
  const rows = [...entries.values()]
    .map((row) => ({ ...row, shortName: shortNames.get(row.name) ?? row.name }))
    .sort((a, b) => rank(a) - rank(b) || compare(b.createdAt ?? "", a.createdAt ?? "") || compare(a.name, b.name));
  sorted.set(entries, { version, rows });
  return rows;
}

function rank({ state }: RequestSummary): number {
  return state === "pending" ? 0 : 1;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function matches(row: RequestSummary, words: string): boolean {
  return words === "" ||
    [row.name, row.for, row.signerName, row.signer, row.requestedBy].some((text) => text.toLowerCase().includes(words));
}

function describeCount(all: readonly RequestSummary[]): string {
  const pending = all.filter(({ state }) => state === "pending").length;
  if (pending === 0) return "No request is pending.";
  return pending === 1 ? "One request is pending." : `${pending} requests are pending.`;
}

function describeFound(found: number, all: number): string {
  return found === all ? `${all} requests` : `${found} of ${all} requests`;
}

function formatHref(query: URLSearchParams, page: number): string {
  const other = new URLSearchParams(query);
  other.set("page", String(page));
  return `/requests?${other}`;
}
