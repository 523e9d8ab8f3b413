/** The list of requests: pending ones first, then the newest. */
import type { ReactElement } from "react";
import { listCsrs } from "../../../cli/api/csrs.ts";
import { escapeUnseen } from "../../../core/lib/printable.ts";
import { type CsrState, type RequestSummary, summarizeRequest } from "../../../core/review/request_summary.ts";
import { cluster } from "./cluster.ts";
import { useLoaded } from "./loaded.ts";
import { pluginLib } from "./plugin_lib.ts";

/** The name of the route of this list. */
export const LIST_ROUTE = "tlsboot-requests";
/** The name of the route of one request, with the parameter `name`. */
export const REQUEST_ROUTE = "tlsboot-request";

const { SectionBox, SimpleTable, StatusLabel, Link } = pluginLib.CommonComponents;

const COLORS: Readonly<Record<CsrState, "success" | "warning" | "error" | "">> = {
  pending: "warning",
  approved: "",
  issued: "success",
  denied: "error",
  failed: "error",
};

/** The state of a request, in Headlamp's colours. */
export function StateLabel(
  { state, text = state }: { readonly state: CsrState; readonly text?: string },
): ReactElement {
  return <StatusLabel status={COLORS[state]}>{escapeUnseen(text)}</StatusLabel>;
}

/** A link to the page of a request. */
export function RequestLink({ name }: { readonly name: string }): ReactElement {
  return <Link routeName={REQUEST_ROUTE} params={{ name }}>{escapeUnseen(name)}</Link>;
}

/** A moment, in the time zone and the language of the browser. */
export function formatMoment(time: string | undefined): string {
  return time === undefined ? "" : new Date(time).toLocaleString();
}

/** The page of all requests. */
export function RequestList(): ReactElement {
  const { value, fault } = useLoaded("requests", async (signal) => {
    const { items } = await listCsrs(cluster.api, {}, signal);
    return items.map((csr) => summarizeRequest(csr)).sort(compareRequests);
  });
  return (
    <SectionBox title="Certificate requests">
      {fault === undefined ? null : <p role="alert">{escapeUnseen(fault)}</p>}
      <SimpleTable
        columns={[
          {
            label: "Name",
            getter: ({ name }: RequestSummary) => <RequestLink name={name} />,
          },
          { label: "For", getter: (row: RequestSummary) => escapeUnseen(row.for) },
          { label: "Signer", getter: (row: RequestSummary) => escapeUnseen(row.signer) },
          { label: "Requested by", getter: (row: RequestSummary) => escapeUnseen(row.requestedBy) },
          { label: "Requested", getter: (row: RequestSummary) => formatMoment(row.createdAt) },
          { label: "Expires", getter: (row: RequestSummary) => formatMoment(row.expiresAt) },
          { label: "State", getter: ({ state }: RequestSummary) => <StateLabel state={state} /> },
        ]}
        data={value ?? null}
        emptyMessage="There are no requests."
      />
    </SectionBox>
  );
}

/** Orders pending requests before all others, and newer before older ones. */
function compareRequests(a: RequestSummary, b: RequestSummary): number {
  const isFirst = Number(b.state === "pending") - Number(a.state === "pending");
  return isFirst !== 0 ? isFirst : (b.createdAt ?? "").localeCompare(a.createdAt ?? "");
}
