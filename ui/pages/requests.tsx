/** The list of requests: pending ones first, the newest first among them. */
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { type ActivityRequest, toActivityRequest } from "../activity.ts";
import { findMachineOfRequest } from "../machines.ts";
import { type CsrState, type RequestSummary, shortenNames } from "../../core/report/request_summary.ts";
import type { UiCollection, UiWatch } from "../data.ts";
import { DataTable, Moment } from "../layout.tsx";
import type { UiContext, UiElement, UiPage } from "../page.ts";
import { describeFoundRows, ListFilter, takePage } from "../parts.tsx";
import { waitUntilShown } from "../sources.ts";

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

/** Waits until the list shows that requests are decided, so that the next page does not count them as pending. */
export function waitUntilDecided(context: UiContext, names: readonly string[]): Promise<void> {
  return waitUntilShown(context, REQUESTS, (entries) => names.every((name) => entries.get(name)?.state !== "pending"));
}

const STATES: readonly CsrState[] = ["pending", "approved", "issued", "denied", "failed"];

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
    const { rows, pager } = takePage(found, "/requests", query);
    return {
      title: "Requests",
      body: (
        <>
          <div id="request-count" role="status" aria-live="polite" data-swap>
            <p class="lead">{describeCount(all)}</p>
          </div>
          <ListFilter action="/requests" query={query} choice={{ name: "state", label: "State", values: STATES }} />
          <div id="request-list" data-swap>
            <RequestTable
              rows={rows}
              now={now}
              caption={describeFoundRows(found.length, all.length, "requests")}
            />
            {pager}
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
