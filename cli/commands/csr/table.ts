/** The table of requests for people: for whom each is, from which signer, requested by whom, and what has become of it. */
import { formatConditionCell } from "../../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { type RequestSummary, shortenNames, summarizeRequest } from "../../../core/report/request_summary.ts";
import type { Clock } from "../../../core/ports.ts";
import type { OwnTable, ServerTable } from "../../output/server_tables.ts";
import type { Style } from "../../output/style.ts";
import type { TableColumn } from "../../output/table_printer.ts";

const COLUMNS: readonly TableColumn[] = [
  // A name that is cut could not be typed.
  { name: "Name" },
  { name: "For", minWidth: 12 },
  { name: "Signer", minWidth: 10 },
  { name: "Requested By", minWidth: 12 },
  { name: "Age" },
  { name: "Expires", paint: (cell, { red }) => cell === EXPIRED ? red(cell) : cell },
  { name: "State", paint: paintState },
  // The columns of kubectl that say more.
  { name: "SignerName", priority: 1 },
  { name: "Requestor", priority: 1 },
  { name: "RequestedDuration", priority: 1 },
  { name: "Condition", priority: 1 },
];

const EXPIRED = "expired";

function paintState(state: string, style: Style): string {
  switch (state) {
    case "pending":
      return style.yellow(state);
    case "issued":
      return style.green(state);
    case "approved":
      return style.cyan(state);
    default:
      return style.red(state);
  }
}

/** Creates the table. The ages of requests are those at the time when a row is made. */
export function createCsrTable(clock: Pick<Clock, "now">): OwnTable {
  // A row has cells and values to sort by, which need the same parsed request.
  const summaries = new WeakMap<object, RequestSummary>();
  const summarize = (csr: CertificateSigningRequest): RequestSummary => {
    const known = summaries.get(csr) ?? summarizeRequest(csr);
    summaries.set(csr, known);
    return known;
  };
  return {
    columns: COLUMNS,
    toCells(csr: CertificateSigningRequest) {
      const summary = summarize(csr);
      const now = clock.now().getTime();
      const { signerName, username, expirationSeconds } = csr.spec;
      return [
        summary.name,
        summary.for,
        summary.signer,
        summary.requestedBy,
        summary.createdAt === undefined ? undefined : formatHumanDuration(now - Date.parse(summary.createdAt)),
        summary.expiresAt === undefined ? undefined : formatRest(Date.parse(summary.expiresAt) - now),
        summary.state,
        signerName,
        username,
        typeof expirationSeconds === "number" ? formatHumanDuration(expirationSeconds * 1000) : undefined,
        formatConditionCell(csr),
      ];
    },
    toSortValues(csr: CertificateSigningRequest) {
      const { expiresAt } = summarize(csr);
      const { expirationSeconds = undefined } = csr.spec;
      const values: Readonly<Record<string, number | undefined>> = {
        Expires: expiresAt === undefined ? undefined : Date.parse(expiresAt),
        RequestedDuration: expirationSeconds,
      };
      return COLUMNS.map(({ name }) => values[name]);
    },
  };
}

function formatRest(ms: number): string {
  return ms < 0 ? EXPIRED : formatHumanDuration(ms);
}

/**
 * Creates a function that shortens the names in rows. A short name is the beginning of no other name in `known`, which the
 * caller extends.
 */
export function createNameShortener(known: ReadonlySet<string>): (rows: ServerTable["rows"]) => ServerTable["rows"] {
  return (rows) => {
    const short = shortenNames([...known]);
    return rows.map((row) => {
      const [name, ...cells] = row.cells;
      return { ...row, cells: [short.get(String(name)) ?? name, ...cells] };
    });
  };
}
