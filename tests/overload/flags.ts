/** The command line of `deno task overload`. */
import { parseArgs } from "node:util";

export interface OverloadFlags {
  readonly scale: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly seed: number;
  readonly binary: boolean;
  /** The file for the numbers as JSON; undefined for none. */
  readonly json: string | undefined;
  /** Whether the run rewrites docs/engineering/measurements.md. */
  readonly writes: boolean;
  /** Selects the attacks with all of these words in their name. */
  readonly words: readonly string[];
}

/** An error in the command line. */
export class UsageError extends Error {}

/** Parses the command line; throws `UsageError` for unknown flags. */
export function readFlags(args: readonly string[]): OverloadFlags {
  const { values, positionals } = parse(args);
  const flags: OverloadFlags = {
    scale: Number(values.scale),
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    seed: Number(values.seed),
    binary: values.binary,
    json: values.json,
    writes: values.write,
    words: positionals,
  };
  const { scale, seconds, rounds, seed } = flags;
  if (!(scale > 0 && scale <= 1)) throw new UsageError(`--scale must be above 0 and at most 1, not ${values.scale}`);
  if (!(seconds > 0 && seconds <= 250)) {
    throw new UsageError(`--seconds must be from above 0 to 250, not ${values.seconds}`);
  }
  if (!(Number.isInteger(rounds) && rounds > 0)) {
    throw new UsageError(`--rounds must be a whole number from 1 on, not ${values.rounds}`);
  }
  if (!Number.isInteger(seed)) throw new UsageError(`--seed must be a whole number, not ${values.seed}`);
  if (flags.writes && positionals.length > 0) {
    throw new UsageError("--write requires all attacks: run it without words");
  }
  return flags;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scale: { type: "string", default: "1" },
        seconds: { type: "string", default: "10" },
        rounds: { type: "string", default: "2" },
        seed: { type: "string", default: "1" },
        binary: { type: "boolean", default: false },
        json: { type: "string" },
        write: { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
