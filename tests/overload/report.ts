/** Formats the observations as the table of docs/engineering/measurements.md. */
import { formatMachine, type Machine } from "../bench/machine.ts";
import { formatTable } from "../bench/table.ts";
import { formatTally } from "./attack.ts";
import { KINDS, type Observation, sumLines, summarizeTimes, type Times } from "./observation.ts";

export interface Report {
  readonly machine: Machine;
  readonly settings: string;
  /** The rounds, each of which begins with a period without an attack. */
  readonly rounds: readonly (readonly Observation[])[];
}

const HEAD = ["attack", "done", "memory before, at most, after", "again"];
const PROGRAMS = ["tlsboot", "Node", "Deno"];
/** The line width of `deno fmt`. */
const LINE_WIDTH = 120;

/** Formats the table, followed by the machine and the settings. */
export function formatReport({ machine, settings, rounds }: Report): string {
  const [first = []] = rounds;
  const rows = summarizeAttacks(rounds);
  const versions = Object.fromEntries(Object.entries(machine.versions).filter(([name]) => PROGRAMS.includes(name)));
  const table = formatTable(
    [...HEAD, ...KINDS.flatMap((kind) => [`${kind} p50, p99, longest`, "× p50, longest"]), "failed", "log"],
    first.map(({ attack, tally, rss }, index) => {
      const { times, failed, lines, again } = rows[index]!;
      return [
        attack.name,
        formatTally(attack.unit, tally),
        `${rss.before}, ${rss.peak}, ${rss.after} MB`,
        again.map((peak) => `${peak} MB`).join(", "),
        ...KINDS.flatMap((_, kind) => [formatTimes(times[kind]!), formatRatios(times[kind]!, rows[0]!.times[kind]!)]),
        String(failed),
        String(lines),
      ];
    }),
  );
  return `${table}\n${wrap(`${formatMachine({ ...machine, versions })}, ${settings}`)}\n`;
}

/** Summarizes each attack. All values but memory cover all rounds. */
function summarizeAttacks(rounds: Report["rounds"]) {
  const [first = [], ...later] = rounds;
  return first.map((_, index) => {
    const seen = rounds.flatMap((round) => round[index] ?? []);
    const answers = seen.flatMap((observation) => observation.answers);
    return {
      times: KINDS.map((kind) => summarizeTimes(answers, kind)),
      failed: answers.filter(({ code }) => code !== 200).length,
      lines: Math.max(...seen.map(({ log }) => sumLines(log))),
      again: later.flatMap((round) => round[index]?.rss.peak ?? []),
    };
  });
}

function formatTimes({ p50, p99, longest }: Times): string {
  return `${p50.toFixed(0)}, ${p99.toFixed(0)}, ${longest.toFixed(0)} ms`;
}

/** Formats response times as multiples of those without an attack. */
function formatRatios(times: Times, calm: Times): string {
  return `${(times.p50 / calm.p50).toFixed(1)}, ${(times.longest / calm.longest).toFixed(1)}`;
}

function wrap(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > LINE_WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

const BEGIN = "<!-- Written by `deno task overload --write`. Do not edit. -->";
const END = "<!-- The end of what is written. -->";

/** Replaces the text between the marks of a page; throws an Error if there are none. */
export function replaceTable(page: string, text: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error(`the page lacks "${BEGIN}" before "${END}"`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n${page.slice(end)}`;
}
