/** Lists bootstrap tokens: for whom they are, and how they have been used. */
import { listAll } from "../../../client/objects/api.ts";
import { isTokenSpent, readTokenLimits, readTokenUse } from "../../../core/bootstrap/bound_token.ts";
import { BOOTSTRAP_TOKEN_TYPE, listTokenFacts } from "../../../core/bootstrap/token_secret.ts";
import { formatBootstrapToken } from "../../../core/bootstrap/token.ts";
import type { SecretObject } from "../../../core/kube/core_v1.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { TokenListFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { writeStructured } from "../../output/structured.ts";
import { alignTabs } from "../../output/tab_writer.ts";
import { escapeValue } from "../../output/escape.ts";
import { TOKEN_COLLECTION } from "../../api/tokens.ts";

/** The spacing of kubeadm's table. */
const TOKEN_TABS = { minWidth: 10, padding: 3 };

/** The action of the command `tlsboot token list`. */
export async function run(input: Input<TokenListFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { showSecrets, output } = input.settings;
  await using connection = await connect(input.settings, io);
  const parameters = { fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}` };
  const { items } = await listAll<SecretObject>(connection.api, TOKEN_COLLECTION, parameters, signal);
  const now = io.clock.now();
  const tokens = items.map((secret) => describeToken(secret, showSecrets, now)).filter((token) => token !== undefined);
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

/** A token as `-o json` prints it. Absent fields do not apply to the token. */
interface ListedToken {
  readonly id: string;
  /** The whole token; present with `--show-secrets` only. */
  readonly token?: string;
  /** The remaining lifetime for people: `23h`, `<forever>`, or `<invalid>` when it has expired. */
  readonly ttl: string;
  /** The expiration in RFC 3339, or the invalid text in the Secret; absent when the token never expires. */
  readonly expires?: string;
  readonly kind: "shared" | "keys" | "node" | "key" | "invalid";
  readonly node?: string;
  /** The networks from which the token is accepted. */
  readonly networks?: readonly string[];
  readonly publicKey?: string;
  /** Whether the token approves the request of its node. */
  readonly approves?: true;
  /** The number of keys that the token allows. */
  readonly maxKeys?: number;
  /** The keys to which the token is bound, and those whose certificate has been used. */
  readonly boundKeys?: readonly string[];
  readonly usedKeys?: readonly string[];
  /** Whether the token may be used no more. */
  readonly isUsed?: true;
  readonly createdBy?: string;
  readonly lastUse?: { readonly time: string; readonly address: string };
  readonly lastRefusal?: { readonly time: string; readonly address: string; readonly reason: string };
  readonly usages: readonly string[];
  readonly description: string;
  readonly groups: readonly string[];
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

/** Describes the token of a Secret; undefined when the Secret holds none. */
function describeToken(secret: SecretObject, showSecrets: boolean, now: Date): ListedToken | undefined {
  const facts = listTokenFacts(secret);
  if (facts === undefined) return undefined;
  const { id, token, expiration, usages, description, groups } = facts;
  const ttl = expiration.kind === "never"
    ? "<forever>"
    : expiration.kind === "at"
    ? formatShortDuration(expiration.at.getTime() - now.getTime())
    : "<invalid>";
  const expires = expiration.kind === "at"
    ? formatTime(expiration.at)
    : expiration.kind === "unreadable"
    ? expiration.text
    : undefined;
  return {
    id,
    ...(showSecrets && token !== undefined ? { token: formatBootstrapToken(token) } : {}),
    ttl,
    ...(expires === undefined ? {} : { expires }),
    ...describeLimits(secret),
    ...describeUse(secret),
    usages,
    description,
    groups,
  };
}

function describeLimits(
  secret: SecretObject,
): Pick<ListedToken, "kind" | "node" | "networks" | "publicKey" | "approves" | "maxKeys"> {
  const limits = readTokenLimits(secret);
  if (!limits.ok) return { kind: "invalid" };
  const { node, maxKeys, networks, publicKey, isApproval } = limits.value;
  return {
    kind: publicKey !== undefined ? "key" : node !== undefined ? "node" : maxKeys !== undefined ? "keys" : "shared",
    ...(node === undefined ? {} : { node }),
    ...(networks.length === 0 ? {} : { networks }),
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(isApproval ? { approves: true } : {}),
    ...(maxKeys === undefined ? {} : { maxKeys }),
  };
}

function describeUse(
  secret: SecretObject,
): Pick<ListedToken, "boundKeys" | "usedKeys" | "isUsed" | "createdBy" | "lastUse" | "lastRefusal"> {
  const { boundKeys, usedKeys, createdBy, lastUse, lastRefusal } = readTokenUse(secret);
  return {
    ...(boundKeys.length === 0 ? {} : { boundKeys }),
    ...(usedKeys.length === 0 ? {} : { usedKeys }),
    ...(isTokenSpent(secret) ? { isUsed: true } : {}),
    ...(createdBy === undefined ? {} : { createdBy }),
    ...(lastUse === undefined ? {} : { lastUse: { time: formatTime(lastUse.at), address: lastUse.address } }),
    ...(lastRefusal === undefined ? {} : {
      lastRefusal: {
        time: formatTime(lastRefusal.at),
        address: lastRefusal.address,
        reason: lastRefusal.reason,
      },
    }),
  };
}

/** Formats a duration in one unit, rounded down: `23h` (apimachinery `pkg/util/duration`, `ShortHumanDuration`). */
function formatShortDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  const hours = Math.floor(seconds / 3_600);
  if (hours < 24) return `${hours}h`;
  return hours < 24 * 365 ? `${Math.floor(hours / 24)}d` : `${Math.floor(hours / 24 / 365)}y`;
}
