/** Shrinks a finding: removes exchanges, then parts of them, as long as the same difference occurs. */
import type { Exchange } from "../comparison/corpus.ts";
import { splitOnce } from "../comparison/send.ts";
import { shrinkList } from "../../support/shrink.ts";
import type { Finding, Stage } from "./play.ts";
import { formatEntries, formatFinding, groupFindings, toCause, toSignature } from "./report.ts";

/** Returns the smallest scene with the same difference, or undefined if the difference does not recur. */
export async function shrink(stage: Stage, finding: Finding): Promise<Finding | undefined> {
  const cause = toCause(finding);
  let best: Finding | undefined;
  const accept = async (exchanges: readonly Exchange[]): Promise<boolean> => {
    const { findings } = await stage.play({ ...finding.scene, exchanges });
    const found = findings.find((one) => one.at === exchanges.length - 1 && toCause(one) === cause);
    if (found !== undefined) best = found;
    return found !== undefined;
  };
  const whole = finding.scene.exchanges.slice(0, finding.at + 1);
  if (!await accept(whole)) return undefined;
  // The last exchange stays: its answers are the ones that differ.
  let kept = [...await shrinkList(whole.slice(0, -1), (some) => accept([...some, finding.exchange])), finding.exchange];
  for (let at = kept.length - 1; at >= 0; at--) {
    for (let tried = 0;;) {
      const simpler = simplifications(kept[at]!)[tried];
      if (simpler === undefined) break;
      if (await accept(kept.with(at, simpler))) kept = kept.with(at, simpler);
      else tried++;
    }
  }
  return best;
}

/**
 * Explains findings: how often each difference occurred, and for the most frequent ones the smallest scene that shows
 * it, as entries of the corpus.
 */
export async function explain(
  stage: Stage,
  findings: readonly Finding[],
): Promise<{ readonly text: string; readonly smallest: readonly Finding[] }> {
  const lines = groupFindings(findings, toSignature).map((group) => `${group.findings.length} × ${group.signature}`);
  const smallest: Finding[] = [];
  for (const { findings: [first, ...more] } of groupFindings(findings, toCause).slice(0, SHOWN)) {
    if (first === undefined) continue;
    const shrunk = await shrink(stage, first);
    if (shrunk !== undefined) smallest.push(shrunk);
    const scenes = [first, ...more].slice(0, 5).map(({ scene }) => scene.index).join(", ");
    lines.push("", `${more.length + 1} times, in scenes ${scenes}:`, formatFinding(shrunk ?? first), "");
    lines.push(shrunk === undefined ? "It did not recur." : formatEntries(shrunk.scene, "differential"));
  }
  return { text: lines.join("\n"), smallest };
}

/** The number of differences to shrink; each takes a few seconds. */
const SHOWN = 10;

/** Returns copies of an exchange, each without one of its parts, large parts first. */
function simplifications(exchange: Exchange): readonly Exchange[] {
  const [line, query] = splitOnce(exchange.send, "?");
  const parameters = query === "" ? [] : query.split("&");
  return [
    ...(exchange.as === "admin" ? [] : [{ ...exchange, as: "admin" as const }]),
    ...(exchange.body === undefined ? [] : [{ ...exchange, body: undefined }]),
    ...Object.keys(exchange.headers).map((name) => {
      const { [name]: _removed, ...headers } = exchange.headers;
      return { ...exchange, headers };
    }),
    ...parameters.map((_, index) => {
      const rest = parameters.toSpliced(index, 1).join("&");
      return { ...exchange, send: rest === "" ? line : `${line}?${rest}` };
    }),
    ...bodySimplifications(exchange),
  ];
}

function bodySimplifications(exchange: Exchange): readonly Exchange[] {
  const { body } = exchange;
  if (body?.form === "json" || body?.form === "protobuf") {
    const asJson = body.form === "protobuf"
      ? [{ ...exchange, body: { form: "json" as const, value: body.value } }]
      : [];
    return [...asJson, ...withoutOne(body.value).map((value) => ({ ...exchange, body: { form: body.form, value } }))];
  }
  if (body?.form !== "text") return [];
  try {
    return [{ ...exchange, body: { form: "json", value: JSON.parse(body.value) as unknown } }];
  } catch {
    return [];
  }
}

/** Returns copies of a value, each without one member or element, those near the root first. */
function withoutOne(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) {
    const inner = value.flatMap((item, index) => withoutOne(item).map((less) => value.with(index, less)));
    return [...value.map((_, index) => value.toSpliced(index, 1)), ...inner];
  }
  if (typeof value !== "object" || value === null) return [];
  const members = Object.entries(value);
  return [
    ...members.map((_, index) => Object.fromEntries(members.toSpliced(index, 1))),
    ...members.flatMap(([key, item]) => withoutOne(item).map((less) => ({ ...value, [key]: less }))),
  ];
}
