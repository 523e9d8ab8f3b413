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
  `Measures tlsboot and its peers in the same run. docs/engineering/measurements.md explains each line.

Usage:
  deno task bench [WORD…]           the table: lines that contain all words; all lines by default
  deno task bench etcd [WORD…]      the lines with etcd on both sides: one server, and three servers on one etcd
  deno task bench growth [WORD…]    time and memory as nodes, requests, watchers and Leases grow, as SVG
  deno task bench idle              the CPU time of idle servers
  deno task bench steady            memory while nodes join and requests are cleaned up, as SVG
  deno task bench capacity          the cost of a Lease, a status and a join: SQLite, etcd, three servers, kube-apiserver
  deno task bench profile LOAD      a CPU profile of our server; LOAD is storm, create, list or watch

Options:
  --rounds N         the number of rounds; the median is reported (3 for table, etcd and capacity, otherwise 1)
  --form FORM        file, sources or both (both for table, otherwise file)
  --scale X          scales the numbers of nodes and requests, for a quick trial; the targets do not apply then
  --seconds N        how long idle measures (60)
  --minutes N        how long steady lasts (10)
  --json FILE        also writes the numbers as JSON
  --write            also writes docs/engineering/benchmarks.md, docs/engineering/bench/*.json and docs/engineering/bench/*.svg
  -h, --help         prints this text

The table is printed on stdout, progress on stderr. The exit code is 1 when a peer is not available, a program fails or
a node gets no certificate, but not when a number is bad; it is 2 for an invalid command line.
`;

/** An error in the command line. */
export class UsageError extends Error {}

/** Reads a command line; undefined when help is requested. Throws UsageError. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parsed(args);
  if (values.help === true) return undefined;
  const named = COMMANDS.find((command) => command === positionals[0]);
  const command = named ?? "table";
  if (command === "profile" && values.write === true) {
    throw new UsageError("--write does not store a profile: use --json");
  }
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
