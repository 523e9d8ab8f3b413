/** Lists bootstrap tokens in kubeadm's columns (`cmd/kubeadm/app/cmd/token.go`). */
import { listAll } from "../../../client/objects/api.ts";
import { BOOTSTRAP_TOKEN_TYPE, listTokenFacts, type TokenFacts } from "../../../core/bootstrap/token_secret.ts";
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
import { TOKEN_COLLECTION } from "./token_api.ts";

/** The spacing of kubeadm's table. */
const TOKEN_TABS = { minWidth: 10, padding: 3 };

/** The action of the command `tlsboot token list`. */
export async function run(input: Input<TokenListFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { showSecrets, output } = input.settings;
  await using connection = await connect(input.settings, io);
  const parameters = { fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}` };
  const { items } = await listAll<SecretObject>(connection.api, TOKEN_COLLECTION, parameters, signal);
  const tokens = items.map(listTokenFacts).filter((facts) => facts !== undefined);
  const now = io.clock.now();
  if (output !== undefined) {
    writeStructured(tokens.map((facts) => plainFacts(facts, showSecrets, now)), output, io);
    return EXIT.done;
  }
  if (tokens.length === 0) {
    io.stderr.write("No tokens found\n");
    return EXIT.done;
  }
  const rows = tokens.map((facts) => {
    const { token, ttl, expires, usages, description, groups } = plainFacts(facts, showSecrets, now);
    const list = (items: readonly string[]): string => items.join(",") || "<none>";
    return [token ?? facts.id, ttl, expires ?? "<never>", list(usages), description || "<none>", list(groups)];
  });
  const heading = [showSecrets ? "TOKEN" : "ID", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"];
  const text = [heading, ...rows].map((row) => row.map(escapeValue).join("\t")).join("\n");
  io.stdout.write(`${alignTabs(text, TOKEN_TABS)}\n`);
  return EXIT.done;
}

/** A token as `-o json` prints it. */
interface PlainToken {
  readonly id: string;
  /** The whole token; present with `--show-secrets` only. */
  readonly token?: string;
  /** The remaining lifetime for people: `23h`, `<forever>`, or `<invalid>` when it has expired. */
  readonly ttl: string;
  /** The expiration in RFC 3339, or the invalid text in the Secret; absent when the token never expires. */
  readonly expires?: string;
  readonly usages: readonly string[];
  readonly description: string;
  readonly groups: readonly string[];
}

function plainFacts(facts: TokenFacts, showSecrets: boolean, now: Date): PlainToken {
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
    usages,
    description,
    groups,
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
