/** The command line of the benchmarks. */
import { parseFlags, positiveNumber, UsageError, wholeNumber } from "../support/command_line.ts";
import { type Command, COMMANDS } from "./section.ts";

/** What to measure, and how. */
export interface Options {
  readonly command: Command;
  /** Selects the lines with all of these words; without words, all lines. */
  readonly words: readonly string[];
  readonly rounds: number;
  /** The factor for all counts; 1 for the designed counts. */
  readonly scale: number;
  /** The duration of the load of `steady`, in minutes. */
  readonly minutes: number;
  /** Whether the command rewrites docs/engineering/benchmarks.md. */
  readonly writes: boolean;
}

/** The default number of rounds of each command. A round of growth takes minutes. */
const ROUNDS: Readonly<Record<Command, number>> = {
  table: 5,
  growth: 1,
  steady: 1,
  capacity: 5,
  ladder: 5,
  profile: 1,
};

/** The text of `deno task bench --help`. */
export const HELP =
  `Measures tlsboot and its peers in the same run. docs/engineering/measurements.md explains each line.

Usage:
  deno task bench [WORD…]           the table: lines that contain all words, such as etcd; all lines by default
  deno task bench growth [WORD…]    time and memory as nodes, requests, watchers and Leases grow, as SVG
  deno task bench steady            memory while nodes join and requests are cleaned up, as SVG
  deno task bench capacity          the cost of a Lease, a status and a join: SQLite, etcd, three servers, kube-apiserver
  deno task bench ladder            the CPU of one creation, as one layer after the other is added to a server
  deno task bench profile LOAD      a CPU profile of our server; LOAD is storm, create, list or watch

Options:
  --rounds N         the number of rounds (5 for table, capacity and ladder, otherwise 1)
  --scale X          scales the numbers of nodes and requests, and the time of an idle server, for a quick trial; the aims
                     do not apply then
  --minutes N        how long steady lasts (10)
  --write            also writes docs/engineering/benchmarks.md, docs/engineering/bench/*.json and docs/engineering/bench/*.svg
  -h, --help         prints this text

The table is printed on stdout, progress on stderr. The exit code is 1 when a peer is not available, a program fails or
a node gets no certificate, but not when a number is bad; it is 2 for an invalid command line.
`;

/** Parses a command line; returns undefined if help is requested. Throws a `UsageError`. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseFlags({
    args: [...args],
    options: {
      rounds: { type: "string" },
      scale: { type: "string", default: "1" },
      minutes: { type: "string", default: "10" },
      write: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
    allowPositionals: true,
  });
  if (values.help === true) return undefined;
  const named = COMMANDS.find((command) => command === positionals[0]);
  const command = named ?? "table";
  if (command === "profile" && values.write) throw new UsageError("--write does not store a profile");
  return {
    command,
    words: named === undefined ? positionals : positionals.slice(1),
    rounds: wholeNumber("rounds", values.rounds ?? `${ROUNDS[command]}`, 1),
    scale: positiveNumber("scale", values.scale),
    minutes: positiveNumber("minutes", values.minutes),
    writes: values.write,
  };
}
