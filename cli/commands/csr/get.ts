/**
 * Shows requests as a table with their subject, signer, requester and state. `-o wide` adds the address of the client and
 * the user who decided.
 */
import type { ApiClient } from "../../../client/objects/api.ts";
import { formatConditionCell, getCsrPhase } from "../../../core/request/phase.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind } from "../../../core/kube/kinds/mod.ts";
import { getName } from "../../../core/kube/meta.ts";
import { findByShortName, findRequestRecords, listCsrs, parseCsrNames } from "../../../client/admin/csrs.ts";
import { findHolds } from "../../../client/admin/holds.ts";
import { showObjects } from "../../output/show_objects.ts";
import type { OwnTable, ServerTable } from "../../output/server_tables.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import type { getCsrCommand } from "./flags.ts";
import { createTargetFinder } from "./targets.ts";
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { type RequestSummary, shortenNames, summarizeRequest } from "../../../core/report/request_summary.ts";
import type { Clock } from "../../../core/ports.ts";
import type { TableColumn } from "../../output/table_printer.ts";
import type { Style } from "../../output/layout.ts";

export async function run(input: Input<typeof getCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { pending, output } = input.settings;
  const names = parseCsrNames(input.args);
  const isTable = output === undefined || output.kind === "wide" || output.kind === "kubectl";
  // Hidden requests count too, because a short name must match only one request.
  const known = new Set<string>();
  const isPending = createPendingFilter();
  const isShown = (csr: CertificateSigningRequest): boolean => {
    known.add(getName(csr));
    return !pending || isPending(csr);
  };
  return await showObjects(
    {
      kind: certificateSigningRequestKind,
      names,
      table: createCsrTable(tools.clock),
      extendWide: addOrigins,
      ...(pending || output === undefined ? { isShown } : {}),
      ...(names.length > 0 ? {} : { refine: createNameShortener(known) }),
      // `csr/NAME` is never a machine.
      findName: (name, api) =>
        input.args.includes(name) ? resolveTarget(api, name, signal) : findByShortName(api, name, signal),
      ...(isTable ? { afterTable: (rows, api) => reportHolds(rows, api, tools) } : {}),
    },
    input,
    tools,
  );
}

/** Finds the request for a short name or the name of a machine, as `approve` does. */
async function resolveTarget(api: ApiClient, name: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await createTargetFinder(api)(name, signal);
  } catch (error) {
    if (isAppError(error, "not_found", "access_denied")) return undefined;
    throw error;
  }
}

/** Creates a filter for pending requests. In a watch it also passes the change that settles a shown request. */
function createPendingFilter(): (csr: CertificateSigningRequest) => boolean {
  const shown = new Set<string>();
  return (csr) => {
    const { uid = "" } = csr.metadata;
    if (getCsrPhase(csr).kind !== "pending") return shown.delete(uid);
    shown.add(uid);
    return true;
  };
}

/** Reports on stderr which of the pending requests an approver holds for a person, and why. */
async function reportHolds(rows: ServerTable["rows"], api: ApiClient, tools: Tools): Promise<void> {
  const { signal } = tools;
  const isPending = ({ cells }: ServerTable["rows"][number]): boolean => cells.includes("Pending");
  const pending = new Set(rows.filter(isPending).map(({ object }) => object?.metadata?.name ?? ""));
  if (pending.size === 0) return;
  try {
    const { items } = await listCsrs(api, {}, signal);
    for (const [name, fault] of await findHolds(api, items, tools.clock, signal)) {
      if (pending.has(name)) tools.stderr.write(line`${name}: ${fault}\n`);
    }
  } catch (error) {
    signal.throwIfAborted();
    // A user who may read some requests and nothing else still gets the table.
    if (!(error instanceof AppError)) throw error;
  }
}

/** Adds the address of the client and the user who decided. Adds nothing if the server has no records of requests. */
async function addOrigins(table: ServerTable, api: ApiClient, signal: AbortSignal): Promise<ServerTable> {
  if (table.rows.length === 0) return table;
  const names = table.rows.map((row) => row.object?.metadata?.name ?? "");
  const records = await findRequestRecords(api, names, signal);
  if (records === undefined) return table;
  const byName = new Map(records.map((record) => [getName(record), record]));
  return {
    ...table,
    columnDefinitions: table.columnDefinitions.length === 0
      ? []
      : [...table.columnDefinitions, { name: "Address" }, { name: "Decided-By" }],
    rows: table.rows.map((row, index) => {
      const record = byName.get(names[index] ?? "");
      const { address } = record?.spec ?? {};
      const { username } = record?.status?.decision ?? {};
      return { ...row, cells: [...row.cells, address, username].map((cell) => cell === "" ? undefined : cell) };
    }),
  };
}

const COLUMNS: readonly TableColumn[] = [
  // Never cut, because users type it.
  { name: "Name" },
  { name: "For", minWidth: 12 },
  { name: "Signer", minWidth: 10 },
  { name: "Requested By", minWidth: 12 },
  { name: "Age" },
  { name: "Expires", paint: (cell, { red }) => cell === EXPIRED ? red(cell) : cell },
  { name: "State", paint: paintState },
  // The columns of kubectl, for `-o wide`.
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

/** Creates the table. Ages are computed when a row is formatted. */
function createCsrTable(clock: Pick<Clock, "now">): OwnTable {
  // The cells and the sort values of a row need the same parsed request.
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
 * Creates a function that shortens the names in rows, so that no other name in `known` begins with a short one. The caller
 * extends `known`.
 */
function createNameShortener(known: ReadonlySet<string>): (rows: ServerTable["rows"]) => ServerTable["rows"] {
  return (rows) => {
    const short = shortenNames([...known]);
    return rows.map((row) => {
      const [name, ...cells] = row.cells;
      return { ...row, cells: [short.get(String(name)) ?? name, ...cells] };
    });
  };
}
