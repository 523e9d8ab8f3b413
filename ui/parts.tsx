/** Parts that several pages share: notes about what is missing, links to objects, tables of certificates, commands. */
import { findNodeOfRecord, getApprover, getSigner, type RecordRow, shortenSerial } from "../core/report/record_rows.ts";
import { listAlternativeNames } from "../core/pki/x509/subject_alternative_names.ts";
import { joinWords } from "../core/report/words.ts";
import { shortenSignerName } from "../core/report/request_summary.ts";
import { DataTable, Moment } from "./layout.tsx";
import type { CommandFlags, UiElement } from "./page.ts";
import type { Missing } from "./sources.ts";

const ROWS_PER_PAGE = 100;

/** One line for each reason why the page cannot show something. */
export function MissingNotes({ notes }: { readonly notes: readonly (Missing | undefined)[] }): UiElement {
  const byReason = Map.groupBy(notes.filter((note) => note !== undefined), ({ why }) => why);
  const known = [...byReason].map(([why, same]) => `${joinWords([...new Set(same.map(({ what }) => what))])}: ${why}`);
  return (
    <div id="missing" data-swap>
      {known.length === 0 ? "" : (
        <ul class="missing faint">
          {known.map((note) => <li>{`Not shown: ${note}.`}</li>)}
        </ul>
      )}
    </div>
  );
}

/** The rows of one page of a list, and the links to the previous and the next one, hidden for a list of one page. */
interface Paged<T> {
  readonly rows: readonly T[];
  readonly pager: UiElement;
}

/** Returns the page of a list that the URL selects. */
export function takePage<T>(all: readonly T[], path: string, query: URLSearchParams): Paged<T> {
  const pages = Math.max(1, Math.ceil(all.length / ROWS_PER_PAGE));
  const page = Math.min(Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1), pages);
  const href = (other: number): string => {
    const parameters = new URLSearchParams(query);
    parameters.set("page", String(other));
    return `${path}?${parameters}`;
  };
  const pager = (
    <nav class="pager" aria-label="Pages of the list" hidden={pages <= 1}>
      {page > 1 ? <a href={href(page - 1)} rel="prev">Previous</a> : <span>Previous</span>}
      <span>{`Page ${page} of ${pages}`}</span>
      {page < pages ? <a href={href(page + 1)} rel="next">Next</a> : <span>Next</span>}
    </nav>
  );
  return { rows: all.slice((page - 1) * ROWS_PER_PAGE, page * ROWS_PER_PAGE), pager };
}

interface ListFilterProps {
  readonly action: string;
  readonly query: URLSearchParams;
  /** The name of the choice in the address, its label, and its values. */
  readonly choice: { readonly name: string; readonly label: string; readonly values: readonly string[] };
  /** The label of the field for a part of the text. */
  readonly contains?: string;
}

/** The filter of a list: a choice of one value, and a text to search for. */
export function ListFilter({ action, query, choice, contains = "Contains" }: ListFilterProps): UiElement {
  const { name, label, values } = choice;
  const chosen = query.get(name) ?? "";
  return (
    <form method="get" action={action} class="filter" role="search">
      <div>
        <label for={name}>{label}</label>
        <select id={name} name={name}>
          <option value="" selected={chosen === ""}>all</option>
          {values.map((value) => <option value={value} selected={value === chosen}>{value}</option>)}
        </select>
      </div>
      <div>
        <label for="q">{contains}</label>
        <input id="q" name="q" type="search" value={query.get("q") ?? ""} />
      </div>
      <button type="submit">Show</button>
    </form>
  );
}

/** Reads the input of a `ListFilter`: the chosen value, if any, and the text in lower case. */
export function readListFilter<T extends string>(
  query: URLSearchParams,
  name: string,
  values: readonly T[],
): { readonly chosen: T | undefined; readonly words: string } {
  return {
    chosen: values.find((one) => one === query.get(name)),
    words: (query.get("q") ?? "").trim().toLowerCase(),
  };
}

/** Describes how many of the rows of a list are shown; `what` is in the plural. */
export function describeFoundRows(found: number, all: number, what: string): string {
  if (found !== all) return `${found} of ${all} ${what}`;
  return all === 1 ? `1 ${what.replace(/ies$/, "y").replace(/s$/, "")}` : `${all} ${what}`;
}

export function MachineLink({ name }: { readonly name: string }): UiElement {
  return <a href={`/machines/${encodeURIComponent(name)}`}>{name}</a>;
}

export function TokenLink({ id }: { readonly id: string }): UiElement {
  return <a href={`/tokens/${encodeURIComponent(id)}`}>{id}</a>;
}

export function RequestLink({ name }: { readonly name: string }): UiElement {
  return <a href={`/requests/${encodeURIComponent(name)}`}>{name}</a>;
}

/** A list of links, separated by commas. */
export function Links({ links }: { readonly links: readonly UiElement[] }): UiElement {
  return <span>{links.flatMap((link, index) => index === 0 ? [link] : [", ", link])}</span>;
}

/** A link to the page of a certificate, with the beginning of its serial number. */
export function SerialLink({ serialNumber }: { readonly serialNumber: string | undefined }): UiElement {
  if (serialNumber === undefined) return <span>unknown</span>;
  return (
    <a href={`/certificates/${encodeURIComponent(serialNumber)}`} title={serialNumber}>{shortenSerial(serialNumber)}</a>
  );
}

/** The CSS class of each certificate status. */
const STATUS_CLASS: Readonly<Record<RecordRow["status"], string>> = {
  valid: "good",
  replaced: "faint",
  untrusted: "bad",
  expired: "wait",
  revoked: "bad",
  unknown: "faint",
};

export function StatusMark({ status }: Pick<RecordRow, "status">): UiElement {
  return <span class={`state ${STATUS_CLASS[status]}`}>{status}</span>;
}

/** Describes briefly who holds a certificate: `node n7`, its subject, or its names. */
export function describeHolder({ record }: RecordRow): string {
  const node = findNodeOfRecord(record);
  if (node !== undefined) return `node ${node}`;
  return record.spec.subject ?? (listAlternativeNames(record.spec).join(", ") || "no name");
}

interface CertificateTableProps {
  readonly rows: readonly RecordRow[];
  readonly now: Date;
  readonly caption: string;
  readonly empty: string;
}

/** A table of certificates with the columns that every page shows. */
export function CertificateTable({ rows, now, caption, empty }: CertificateTableProps): UiElement {
  return (
    <DataTable
      caption={caption}
      rows={rows}
      empty={empty}
      columns={[
        { heading: "Status", cell: (row) => <StatusMark status={row.status} /> },
        { heading: "Serial", cell: ({ record }) => <SerialLink serialNumber={record.spec.serialNumber} /> },
        { heading: "For", cell: describeHolder },
        {
          heading: "Signer",
          cell: ({ record }) => <span title={getSigner(record)}>{shortenSignerName(getSigner(record))}</span>,
        },
        { heading: "Issued", cell: ({ record }) => <Moment at={record.spec.issuedAt ?? undefined} now={now} /> },
        { heading: "Expires", cell: ({ record }) => <Moment at={record.spec.notAfter ?? undefined} now={now} /> },
        { heading: "Approved by", cell: ({ record }) => getApprover(record) || "–" },
      ]}
    />
  );
}

/** Commands for a terminal, one per line, with the flags of this server. */
export function Commands(
  { lines, flags }: { readonly lines: readonly string[]; readonly flags: CommandFlags },
): UiElement {
  return <pre class="commands" tabindex={0}><code>{lines.map((line) => addFlags(line, flags)).join("\n")}</code></pre>;
}

/** The commands in the page's texts that take these flags. */
const COMMANDS =
  /\btlsboot (?:approve|ca rotate \w+|delete csr|describe \w+|get \w+|kubeconfig user|revoke|token \w+|unrevoke)\b/g;

/** Adds the flags of this server to the commands in a text that tlsboot has written. */
export function addFlags(text: string, flags: CommandFlags): string {
  return text.replace(COMMANDS, (command) => command + flags.tlsboot)
    .replace(/\bkubectl(?= (?:create|get)\b)/g, (command) => command + flags.kubectl);
}
