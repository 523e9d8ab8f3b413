/** Lists bootstrap tokens with their machines and uses, and deletes them by their ids. */
import type { tokenDeleteCommand, tokenListCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import { deleteToken, type ListedToken, listTokens } from "../../../client/admin/tokens.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { writeStructured } from "../../output/structured.ts";
import { parseRowOrder } from "../../output/sort.ts";
import { createTablePrinter, type TableColumn } from "../../output/table_printer.ts";
import { parseBootstrapToken } from "../../../core/token/token_secret.ts";
import { forEachItem } from "../../framework/report.ts";

export async function runListTokens(input: Input<typeof tokenListCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { showSecrets, output, sortBy, noHeaders } = input.settings;
  // An invalid path is reported before any request is sent.
  const order = sortBy === undefined ? undefined : parseRowOrder(sortBy);
  await using connection = await connect(input.settings, tools);
  const tokens = await listTokens(connection.api, showSecrets, tools.clock.now(), tools.signal);
  const named = [...COLUMNS, ...WIDE_COLUMNS].map((column) =>
    column.name === "ID" && showSecrets ? { ...column, heading: "TOKEN" } : column
  );
  const unsorted = tokens.map((token) => ({
    object: token,
    cells: named.map(({ cell }) => cell(token)),
    sortValues: named.map(({ toSortValue }) => toSortValue?.(token)),
  }));
  const rows = order?.sort(named, unsorted) ?? unsorted;
  if (output === "json" || output === "yaml") {
    writeStructured(rows.map(({ object }) => object), output, tools);
    return EXIT.done;
  }
  if (tokens.length === 0) {
    tools.stderr.write("No tokens found\n");
    return EXIT.done;
  }
  const isWide = output === "wide";
  const fitTo = () => tools.stdout.isTerminal && output === undefined ? tools.stdout.columns : undefined;
  const printer = createTablePrinter({ isWide, hasHeader: !noHeaders, fitTo });
  tools.stdout.write(printer.print(named, rows));
  return EXIT.done;
}

interface TokenColumn extends TableColumn {
  cell(token: ListedToken): string;
  /** Returns a value to sort by instead of the cell. */
  toSortValue?(token: ListedToken): unknown;
}

const COLUMNS: readonly TokenColumn[] = [
  { name: "ID", cell: ({ id, token }) => token ?? id },
  // Times in RFC 3339 sort as text; a token without an end comes last.
  { name: "TTL", cell: ({ ttl }) => ttl, toSortValue: ({ expires }) => expires ?? "~" },
  { name: "KIND", cell: ({ kind }) => kind },
  { name: "NODE", minWidth: 10, cell: ({ node }) => node ?? "<any>" },
  { name: "FROM", minWidth: 12, cell: ({ networks }) => networks?.join(",") ?? "<anywhere>" },
  { name: "USES", cell: formatUses },
  { name: "LAST USE", minWidth: 20, cell: ({ lastUse }) => lastUse === undefined ? "<none>" : formatMoment(lastUse) },
  { name: "DESCRIPTION", minWidth: 12, cell: ({ description }) => description || "<none>" },
];

const WIDE_COLUMNS: readonly TokenColumn[] = [
  { priority: 1, name: "EXPIRES", cell: ({ expires }) => expires ?? "<never>" },
  { priority: 1, name: "USAGES", cell: ({ usages }) => usages.join(",") || "<none>" },
  { priority: 1, name: "EXTRA GROUPS", cell: ({ groups }) => groups.join(",") || "<none>" },
  { priority: 1, name: "CREATED BY", cell: ({ createdBy }) => createdBy ?? "<unknown>" },
  { priority: 1, name: "APPROVES", cell: ({ approves }) => approves === true ? "yes" : "no" },
  { priority: 1, name: "KEY", cell: ({ publicKey, boundKeys }) => publicKey ?? (boundKeys?.join(",") || "<none>") },
  {
    priority: 1,
    name: "LAST REFUSAL",
    cell: ({ lastRefusal }) =>
      lastRefusal === undefined ? "<none>" : `${formatMoment(lastRefusal)}: ${lastRefusal.reason}`,
  },
];

/** Formats the uses: the keys that have used the token, and `used` for a token that is used up. */
function formatUses({ maxKeys, boundKeys = [], usedKeys = [], isUsed }: ListedToken): string {
  if (maxKeys === undefined) return "<unlimited>";
  if (isUsed === true) return `used ${usedKeys.length}/${maxKeys}`;
  const bound = boundKeys.length === usedKeys.length ? "" : `, ${boundKeys.length} bound`;
  return `${usedKeys.length}/${maxKeys}${bound}`;
}

function formatMoment({ time, address }: { readonly time: string; readonly address: string }): string {
  return address === "" ? time : `${time} from ${address}`;
}

export async function runDeleteTokens(input: Input<typeof tokenDeleteCommand.flags>, tools: Tools): Promise<ExitCode> {
  const ids = input.args.map(parseId);
  await using connection = await connect(input.settings, tools);
  return await forEachItem(ids, async (id) => {
    const { wasUsed } = await deleteToken(connection.api, id, tools.signal);
    tools.stdout.write(`bootstrap token "${id}" deleted\n`);
    if (!wasUsed) return;
    tools.stderr.write(
      `certificates that were requested with it stay valid; to revoke them: tlsboot revoke token/${id} --certificates\n`,
    );
  }, tools);
}

/** Parses an id or a whole token. The error does not quote the text, which may be a secret. */
function parseId(text: string): string {
  if (/^[a-z0-9]{6}$/.test(text)) return text;
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value.id;
  throw new UsageError("cannot read a token: want its id, six characters of a-z or 0-9, or the whole token");
}
