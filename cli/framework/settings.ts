/**
 * Resolves settings from the command line, the environment, the configuration file and the defaults, in this order. All
 * faults are reported together, each with its origin.
 */
import { findNearest } from "../../core/lib/nearest.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import {
  type Command,
  type CommandSpec,
  type CommandTable,
  findVariable,
  getCommandName,
  GLOBAL_FLAGS,
  isConnectionFlag,
} from "./command.ts";
import { environmentName, type Flag, flagName, type FlagSet, type Settings } from "./flags.ts";
import type { RawFlags } from "./parse.ts";

/** The settings of a command, with the origin of each. */
interface ResolvedSettings<F extends FlagSet> {
  /** The values of the flags, by name; the object is frozen. */
  readonly settings: Settings<F>;
  readonly origins: Readonly<Record<string, string>>;
}

/** The texts from which settings are resolved, by origin. */
export interface Sources extends Pick<CommandSpec, "environment"> {
  readonly commandLine: RawFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The configuration file; absent without `--config`. */
  readonly file?: { readonly path: string; readonly raw: RawFlags } | undefined;
}

/** Resolves all flags of a set. The error has a line for each fault, beginning with `earlierFaults`. */
export function resolveSettings<F extends FlagSet>(
  flags: F,
  sources: Sources,
  earlierFaults: readonly string[] = [],
): Result<ResolvedSettings<F>, readonly string[]> {
  const values: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  const faults = [...earlierFaults];
  for (const [key, flag] of Object.entries(flags)) {
    const given = findTexts(key, flag, sources);
    origins[key] = given?.origin ?? "default";
    if (given === undefined) {
      values[key] = flag.default;
      if (flag.isRequired) faults.push(`--${flagName(key)} is required`);
      continue;
    }
    const value = flag.parse(given.texts);
    if (value.ok) values[key] = value.value;
    else faults.push(`${given.origin}: ${flag.isSecret ? "" : `"${given.texts.join(",")}" found, `}${value.error}`);
  }
  // The value of each key comes from the parser of its flag, so the object has the type of the flag set.
  return faults.length > 0 ? err(faults) : ok({ settings: Object.freeze(values) as Settings<F>, origins });
}

/**
 * Lists which of some flags the user typed, as `--server`. Variables and the configuration file are for several commands,
 * so they may set what one of them does not need.
 */
export function listTypedFlags(origins: Readonly<Record<string, string>>, keys: readonly string[]): readonly string[] {
  return keys.map((key) => origins[key] ?? "").filter((origin) => origin.startsWith("--"));
}

/** Describes each setting in one line: `--data-dir: "./x" (TLSBOOT_DATA_DIR)`. Secrets are redacted. */
export function describeSettings(flags: FlagSet, resolved: ResolvedSettings<FlagSet>): readonly string[] {
  return Object.entries(flags).map(([key, flag]) => {
    const value = resolved.settings[key];
    const shown = flag.isSecret && value !== undefined ? "[redacted]" : JSON.stringify(value) ?? "unset";
    return `--${flagName(key)}: ${shown} (${resolved.origins[key] ?? "default"})`;
  });
}

/** A variable that is set, but that the running command does not read. */
interface UnreadVariable {
  readonly name: string;
  /** True when a flag of some command has this name, so that the user may have meant it for this command. */
  readonly isSetting: boolean;
  /** Why the command does not read it: `there is no such setting`. */
  readonly reason: string;
}

/**
 * Finds the variables that are set, but that a command does not read. Those that other programs set are left out:
 * variables of Kubernetes, such as `TLSBOOT_SERVICE_HOST` where a Service is named tlsboot, and those of hooks.
 */
export function findUnreadVariables(
  env: Readonly<Record<string, string | undefined>>,
  command: Command,
  table: CommandTable,
): readonly UnreadVariable[] {
  const own: FlagSet = { ...GLOBAL_FLAGS, ...command.flags };
  const read = new Set(Object.entries(own).map(([key, flag]) => findVariable(command, key, flag)));
  const unread = Object.keys(env).filter((name) =>
    name.startsWith(PREFIX) && env[name] !== "" && !read.has(name) && !OTHER_VARIABLES.has(name)
  );
  if (unread.length === 0) return [];
  const keys = new Map<string, string>();
  const readable = new Set<string>();
  for (const one of table.commands) {
    for (const [key, flag] of Object.entries({ ...GLOBAL_FLAGS, ...one.flags })) {
      keys.set(environmentName(key), key);
      const variable = findVariable(one, key, flag);
      if (variable !== undefined) readable.add(variable);
    }
  }
  return unread.flatMap((name): readonly UnreadVariable[] => {
    const key = keys.get(name);
    const isOfService = SERVICE_VARIABLE.test(name);
    if (key === undefined || (isOfService && !readable.has(name))) {
      const nearest = findNearest(name.slice(PREFIX.length), [...readable].map((one) => one.slice(PREFIX.length)));
      if (isOfService && nearest === undefined) return [];
      const hint = nearest === undefined ? "" : `, did you mean ${PREFIX}${nearest}?`;
      return [{ name, isSetting: false, reason: `there is no such setting${hint}` }];
    }
    const flag = own[key];
    if (isConnectionFlag(key) && command.environment !== "strict") return [];
    const option = flag === undefined
      ? `has no --${flagName(key)}`
      : `takes --${flagName(key)} from the command line only`;
    return [{ name, isSetting: true, reason: `"${getCommandName(table, command)}" ${option}` }];
  });
}

/** Variables other than settings: for the program as a whole, for its hooks, and for its tests and builds. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  ...["EARLIEST_TIME", "CA_CERTIFICATE", "CERTIFICATE_FILE", "CHANGED", "NODE_NAME", "NOT_AFTER", "TRUST_BUNDLE_FILE"],
  ...["BUILD_COMMIT", "PROGRAMS", "POD_REQUESTS", "UPDATE_GOLDEN"],
  ...["UPDATE_SCREENSHOTS", "TEST_BINARY", "TEST_NODE", "TEST_SEED", "TEST_FULL"],
].map((name) => `TLSBOOT_${name}`));

// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
const SERVICE_VARIABLE = /_SERVICE_(?:HOST$|PORT$|PORT_)|_PORT(?:_\d{1,5}_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?$/;

/** The prefix of all names that `environmentName` returns. */
const PREFIX = "TLSBOOT_";

function findTexts(
  key: string,
  flag: Flag<unknown>,
  sources: Sources,
): { readonly texts: readonly string[]; readonly origin: string } | undefined {
  const typed = sources.commandLine[key];
  if (typed !== undefined && typed.length > 0) return { texts: typed, origin: `--${flagName(key)}` };
  const variable = findVariable(sources, key, flag);
  const text = variable === undefined ? undefined : sources.env[variable];
  // An empty variable counts as unset.
  if (variable !== undefined && text !== undefined && text !== "") return { texts: [text], origin: variable };
  const filed = sources.file?.raw[key];
  return filed === undefined ? undefined : { texts: filed, origin: `config file "${sources.file?.path}": ${key}` };
}
