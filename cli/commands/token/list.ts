/** Lists bootstrap tokens: for whom they are, and how they have been used. */
import type { TokenListFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import { type ListedToken, listTokens } from "../../api/tokens.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { writeStructured } from "../../output/structured.ts";
import { alignTabs } from "../../output/tab_writer.ts";
import { escapeValue } from "../../output/escape.ts";

/** The spacing of kubeadm's table. */
const TOKEN_TABS = { minWidth: 10, padding: 3 };

/** The action of the command `tlsboot token list`. */
export async function run(input: Input<TokenListFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { showSecrets, output } = input.settings;
  await using connection = await connect(input.settings, io);
  const tokens = await listTokens(connection.api, showSecrets, io.clock.now(), signal);
  if (output === "json" || output === "yaml") {
    writeStructured(tokens, output, io);
    return EXIT.done;
  }
  if (tokens.length === 0) {
    io.stderr.write("No tokens found\n");
    return EXIT.done;
  }
  const columns = output === "wide" ? [...COLUMNS, ...WIDE_COLUMNS] : COLUMNS;
  const heading = columns.map(({ name }) => name === "ID" && showSecrets ? "TOKEN" : name);
  const rows = tokens.map((token) => columns.map(({ cell }) => escapeValue(cell(token))));
  const text = [heading, ...rows].map((row) => row.join("\t")).join("\n");
  io.stdout.write(`${alignTabs(text, TOKEN_TABS)}\n`);
  return EXIT.done;
}

/** A column of the table. */
interface TokenColumn {
  readonly name: string;
  cell(token: ListedToken): string;
}

const COLUMNS: readonly TokenColumn[] = [
  { name: "ID", cell: ({ id, token }) => token ?? id },
  { name: "TTL", cell: ({ ttl }) => ttl },
  { name: "KIND", cell: ({ kind }) => kind },
  { name: "NODE", cell: ({ node }) => node ?? "<any>" },
  { name: "FROM", cell: ({ networks }) => networks?.join(",") ?? "<anywhere>" },
  { name: "USES", cell: formatUses },
  { name: "LAST USE", cell: ({ lastUse }) => lastUse === undefined ? "<none>" : formatMoment(lastUse) },
  { name: "DESCRIPTION", cell: ({ description }) => description || "<none>" },
];

const WIDE_COLUMNS: readonly TokenColumn[] = [
  { name: "EXPIRES", cell: ({ expires }) => expires ?? "<never>" },
  { name: "USAGES", cell: ({ usages }) => usages.join(",") || "<none>" },
  { name: "EXTRA GROUPS", cell: ({ groups }) => groups.join(",") || "<none>" },
  { name: "CREATED BY", cell: ({ createdBy }) => createdBy ?? "<unknown>" },
  { name: "APPROVES", cell: ({ approves }) => approves === true ? "yes" : "no" },
  { name: "KEY", cell: ({ publicKey, boundKeys }) => publicKey ?? (boundKeys?.join(",") || "<none>") },
  {
    name: "LAST REFUSAL",
    cell: ({ lastRefusal }) =>
      lastRefusal === undefined ? "<none>" : `${formatMoment(lastRefusal)}: ${lastRefusal.reason}`,
  },
];

/** Formats the uses: `used` for a token that may be used no more, else the keys that have used it. */
function formatUses({ maxKeys, boundKeys = [], usedKeys = [], isUsed }: ListedToken): string {
  if (maxKeys === undefined) return "<unlimited>";
  if (isUsed === true) return `used ${usedKeys.length}/${maxKeys}`;
  const bound = boundKeys.length === usedKeys.length ? "" : `, ${boundKeys.length} bound`;
  return `${usedKeys.length}/${maxKeys}${bound}`;
}

function formatMoment({ time, address }: { readonly time: string; readonly address: string }): string {
  return address === "" ? time : `${time} from ${address}`;
}
