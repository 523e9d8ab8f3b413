/** The text of `review`: one request on less than a screen, and on request everything that is known about it. */
import type { RequestView } from "../../../core/report/request_view.ts";
import { capitalize, formatTimeAgo, joinWords } from "../../../core/report/words.ts";
import { escapeValue } from "../../../core/lib/printable.ts";
import type { Style } from "../../output/style.ts";
import { formatDescription } from "../../output/tab_writer.ts";
import { wrapWords } from "../../output/wrap.ts";
import { formatToken, historyLines, identityLines, requestLines, ruleLines, signerLines } from "./view_text.ts";

export interface ReviewLayout {
  /** The heading, such as `Request 1 of 3`. */
  readonly heading: string;
  /** The width of the terminal; undefined where lines are not broken, as for a pipe. */
  readonly width: number | undefined;
  readonly style: Style;
  readonly now: Date;
}

const TITLE_WIDTH = 12;

/** Formats a request: its sentence, the warnings, the rights of the certificate's holder, the facts, and the verdict of the rules. */
export function formatReview(view: RequestView, { heading, width = Infinity, style, now }: ReviewLayout): string {
  const age = view.createdAt === undefined ? "" : `, ${formatTimeAgo(now.getTime() - Date.parse(view.createdAt))}`;
  const wrap = (text: string, indent = ""): readonly string[] => wrapWords(escapeValue(text), width, indent);
  const row = ([title, value]: Row): readonly string[] => {
    const [first = "", ...more] = wrap(value, " ".repeat(TITLE_WIDTH));
    return [`${`${title}:`.padEnd(TITLE_WIDTH)}${first.trimStart()}`, ...more];
  };
  const sentence = `${capitalize(view.sentence)}.`;
  const lines = [
    ...wrap(`${heading}: ${view.name}${age}`),
    "",
    ...wrap(sentence).map(style.bold),
    ...(view.warnings.length === 0
      ? []
      : ["", ...view.warnings.flatMap((text) => wrap(`Warning: ${text}.`)).map(style.yellow)]),
    "",
    ...listFacts(view, now).flatMap(row),
    "",
  ];
  return `${lines.join("\n")}\n`;
}

type Row = readonly [title: string, value: string];

/** Lists the facts that decide most requests. A fact that is not known, or that does not apply, has no row. */
function listFacts(view: RequestView, now: Date): readonly Row[] {
  const { requested, requester, verdict, unsigned } = view;
  const names = [...requested.dnsNames, ...requested.ipAddresses, ...requested.uris, ...requested.emails];
  const program = requester.userAgent === undefined ? "" : `, with ${requester.userAgent}`;
  const groups = requester.groups.length === 0 ? "" : ` (${requester.groups.join(", ")})`;
  const isReadable = requested.unreadable === undefined;
  return [
    ...(isReadable ? [row("Subject", requested.subject || "none")] : []),
    ...(names.length === 0 ? [] : [row("Names", names.join(", "))]),
    row("Signer", requested.signerName),
    row("Requester", `${requester.user || "none"}${groups}`),
    ...(requester.address === undefined ? [] : [row("From", `${requester.address}${program}`)]),
    ...(requester.token === undefined ? [] : [row("Token", formatToken(requester.token, now))]),
    row("Usages", requested.usages.join(", ") || "none"),
    ...(isReadable ? [row("Key", `${requested.key}, SHA-256 ${requested.keyFingerprint}`)] : []),
    ...describeLast(view),
    ...(view.others ?? []).map(({ name, shares, sameKey }) =>
      row("Also open", `${name}, for ${shares}, with ${sameKey ? "the same key" : "another key"}`)
    ),
    ...view.allows.map((text) => row("Allows to", text)),
    ...(verdict === undefined ? [] : [row("Rules", verdict.text)]),
    ...(unsigned === undefined ? [] : [row("No signer", unsigned)]),
  ];
}

function row(title: string, value: string): Row {
  return [title, value];
}

function describeLast({ lastCertificate, difference = [] }: RequestView): readonly Row[] {
  if (lastCertificate === undefined) return [];
  const { state, notAfter, requestedBy, address } = lastCertificate;
  const until = notAfter === undefined ? "" : `, until ${notAfter}`;
  const by = requestedBy === undefined ? "" : `, requested by ${requestedBy}`;
  const from = address === undefined ? "" : ` from ${address}`;
  const changed = joinWords(difference.map(({ what }) => what));
  return [
    row("Last", `${state}${until}${by}${from}; ${changed === "" ? "nothing differs" : `different now: ${changed}`}`),
  ];
}

/** Formats the rules with their evidence, what would change the verdict, and all that the short text leaves out. */
export function formatWhy(view: RequestView, now: Date): string {
  const sections = [
    view.requested.unreadable === undefined ? [...identityLines(view), "", ...requestLines(view, now)] : [],
    historyLines(view),
    ruleLines(view),
    signerLines(view),
  ].filter((lines) => lines.length > 0);
  const lines = sections.flatMap((section) => ["", ...section]);
  return `${formatDescription(lines)}\n\n`;
}
