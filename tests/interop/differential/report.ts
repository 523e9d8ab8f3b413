/** Groups findings by cause, and formats them as text and as entries of the corpus. */
import { stringify } from "yaml";
import { parseRequestInfo } from "../../../server/http/request_info.ts";
import { formatDifferences } from "../comparison/compare.ts";
import type { Exchange } from "../comparison/corpus.ts";
import type { Finding, Played } from "./play.ts";
import { FIXTURES, type Scene } from "./scenes.ts";

export interface Group {
  readonly signature: string;
  readonly findings: readonly Finding[];
}

/** Returns the method, the resource, both statuses and where the answers first differ. */
export function toSignature(finding: Finding): string {
  const [method = ""] = finding.exchange.send.split(" ");
  return `${method} ${parseResource(finding.exchange)} ${toCause(finding)}`;
}

/** Returns what stays the same while a finding is shrunk: both statuses, the path, and the shape of the values. */
export function toCause({ statuses, differences: [first] }: Finding): string {
  const values = [first?.["kube-apiserver"], first?.tlsboot].map(describeShape);
  const path = (first?.path ?? "").replace(/\[\d+\]/g, "[]").replace(/\.(labels|annotations|data)\..*/, ".$1");
  return `${statuses.join("/")} ${path}: ${values.join(" | ")}`;
}

const SHAPE_LENGTH = 60;

/** Describes the shape of a value, without texts and numbers that vary between objects. */
function describeShape(value: unknown): string {
  const text = value === undefined ? "nothing" : typeof value === "string" ? value : typeof value;
  return text.replace(/"(?:[^"\\]|\\.)*"/g, "_").replace(/\d+/g, "0").replace(/[[\]]/g, "").slice(0, SHAPE_LENGTH);
}

function parseResource({ send }: Exchange): string {
  const [method = "", target = ""] = send.split(" ");
  const [path = ""] = target.split("?");
  const info = parseRequestInfo(method, path, new URLSearchParams());
  if (info.resource === "") return "(no resource)";
  return `${info.resource}${info.apiGroup === "" ? "" : `.${info.apiGroup}`}${
    info.subresource === "" ? "" : `/${info.subresource}`
  }`;
}

/** Groups findings, the most frequent first; `by` is {@link toSignature} or {@link toCause}. */
export function groupFindings(findings: readonly Finding[], by: (finding: Finding) => string): readonly Group[] {
  const groups = Map.groupBy(findings, by);
  return [...groups].map(([signature, members]) => ({ signature, findings: members }))
    .toSorted((a, b) => b.findings.length - a.findings.length);
}

/** Computes the percentage of exchanges with the same answers. */
export function computeAgreement({ compared, findings }: Played): number {
  return compared === 0 ? 100 : 100 * (compared - findings.length) / compared;
}

/** Formats the differences of a finding. */
export function formatFinding({ exchange, statuses, differences }: Finding): string {
  const head = `${exchange.send} as ${exchange.as} (${statuses.join(" / ")})`;
  return [head, ...formatDifferences(differences, 6)].join("\n");
}

/** Formats scenes as a file of the corpus. */
export function formatCorpusFile(scenes: readonly Scene[], title: string): string {
  const head = stringify({ title, requests: FIXTURES, exchanges: [] }).replace(/exchanges: \[\]\n$/, "exchanges:\n");
  return `${head}${scenes.map((scene, index) => formatEntries(scene, `found${index + 1}`)).join("")}`;
}

/** Formats the exchanges of a scene as entries of the corpus; `name` is the prefix of its objects' names. */
export function formatEntries({ setup, exchanges }: Scene, name: string): string {
  const kept = new Set<string>();
  const used = setup.filter(({ id }) => id !== "a namespace" || exchanges.some((one) => mentions(one, "${scene}-ns")));
  return [...used, ...exchanges].map((exchange, index, all) => {
    // Objects that no later exchange uses can be removed.
    const keep = Object.fromEntries(
      Object.entries(exchange.keep).filter(([key]) => all.slice(index + 1).some((one) => mentions(one, `\${${key}}`))),
    );
    const entry = toEntry({ ...exchange, keep }, `${name} ${index + 1}`, kept);
    for (const key of Object.keys(keep)) kept.add(key);
    const text = stringify([entry], { lineWidth: 0 }).replaceAll("${scene}", name);
    return text.replace(/^(?=.)/gm, "  ");
  }).join("");
}

function mentions(exchange: Exchange, text: string): boolean {
  return JSON.stringify(exchange).includes(text);
}

/** The values of variables that no earlier exchange has kept. */
const UNKEPT: Readonly<Record<string, string>> = { rv: "1", uid: "a", more: "x" };

function toEntry(exchange: Exchange, name: string, kept: ReadonlySet<string>): object {
  const { as, send, headers, body, keep, stream, project } = exchange;
  const entry = {
    name,
    ...(as === "admin" ? {} : { as }),
    send,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(body === undefined ? {} : { [body.form]: body.value }),
    ...(Object.keys(keep).length === 0 ? {} : { keep }),
    ...(project === undefined || project === "random" ? {} : { project }),
    ...(stream === undefined ? {} : { stream: { events: stream.events } }),
  };
  const text = JSON.stringify(entry).replace(
    /\$\{(rv|uid|more)\}/g,
    (whole, key: string) => kept.has(key) ? whole : UNKEPT[key] ?? whole,
  );
  return JSON.parse(text) as object;
}
