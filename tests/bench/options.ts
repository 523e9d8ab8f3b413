/** The command line of the benchmarks. */
import { parseArgs } from "node:util";
import { type Command, COMMANDS } from "./section.ts";
import type { Program } from "./program.ts";

/** The parts to measure, and how. */
export interface Options {
  readonly command: Command;
  /** Selects only the lines with all of these words; all lines when there are none. */
  readonly words: readonly string[];
  readonly rounds: number;
  readonly forms: readonly Program["form"][];
  /** 1 for the counts of the design. */
  readonly scale: number;
  /** How many seconds `idle` measures the servers. */
  readonly seconds: number;
  /** How many minutes the load of `steady` lasts. */
  readonly minutes: number;
  /** The file for the numbers as JSON; undefined for none. */
  readonly json: string | undefined;
  /** Whether the command rewrites docs/engineering/benchmarks.md. */
  readonly writes: boolean;
}

/** The default number of rounds of each command: growth takes minutes a round. */
const ROUNDS: Readonly<Record<Command, number>> = {
  table: 3,
  etcd: 3,
  growth: 1,
  idle: 1,
  steady: 1,
  capacity: 3,
  profile: 1,
};

/** The text of `deno task bench --help`. */
export const HELP =
  `Measures tlsboot beside its peers in the same run. docs/engineering/measurements.md says what each line means.

Usage:
  deno task bench [WORD…]           the table: only lines that have all words, or all of them
  deno task bench etcd [WORD…]      its lines with etcd below both sides: one server, and three on one etcd
  deno task bench growth [WORD…]    nodes, stored requests, watchers: time and memory as they grow, as SVG
  deno task bench idle              the CPU time of servers that nobody asks anything
  deno task bench steady            memory while nodes come and requests are cleaned away, as SVG
  deno task bench capacity          what a Lease, a status and a join cost: SQLite, etcd, three servers, kube-apiserver
  deno task bench profile LOAD      where our server's time goes under a storm, create, list or watch

Options:
  --rounds N         rounds of every line; the median counts (table, etcd and capacity 3, the others 1)
  --form FORM        file, sources or both (table both, the others file)
  --scale X          a part of the counts of nodes and requests, to try whether everything works; aims mean nothing then
  --seconds N        how long idle looks (60)
  --minutes N        how long steady lasts (10)
  --json FILE        also writes the numbers as JSON
  --write            also writes docs/engineering/benchmarks.md, docs/engineering/bench/*.json and docs/engineering/bench/*.svg
  -h, --help         this text

The table goes to stdout, progress to stderr. It ends with 1 when a peer cannot be had, a program fails or a node does
not get its certificate, never because something was slow; with 2 when it is called wrongly.
`;

/** An error in the command line. */
export class UsageError extends Error {}

/** Reads a command line; undefined when help is asked for. Throws UsageError. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parsed(args);
  if (values.help === true) return undefined;
  const named = COMMANDS.find((command) => command === positionals[0]);
  const command = named ?? "table";
  if (command === "profile" && values.write === true) throw new UsageError("--write keeps no profile: take --json");
  return {
    command,
    words: named === undefined ? positionals : positionals.slice(1),
    rounds: wholeNumber("--rounds", values.rounds, ROUNDS[command]),
    forms: parseForms(values.form ?? (command === "table" ? "both" : "file")),
    scale: positiveNumber("--scale", values.scale, 1),
    seconds: positiveNumber("--seconds", values.seconds, 60),
    minutes: positiveNumber("--minutes", values.minutes, 10),
    json: values.json,
    writes: values.write === true,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: "string" },
        form: { type: "string" },
        scale: { type: "string" },
        seconds: { type: "string" },
        minutes: { type: "string" },
        json: { type: "string" },
        write: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function parseForms(text: string): readonly Program["form"][] {
  if (text === "both") return ["sources", "file"];
  if (text === "sources" || text === "file") return [text];
  throw new UsageError(`--form must be file, sources or both, not ${text}`);
}

function wholeNumber(flag: string, text: string | undefined, fallback: number): number {
  const value = positiveNumber(flag, text, fallback);
  if (!Number.isInteger(value)) throw new UsageError(`${flag} must be a whole number from 1, not ${text}`);
  return value;
}

function positiveNumber(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0) {
    throw new UsageError(`${flag} must be a number above 0, not ${text}`);
  }
  return value;
}
