/**
 * Resolves settings: from the flag, else the environment, else the configuration file, else the default. All faults are
 * reported together, each with its origin.
 */
import { findNearest } from "../../core/lib/nearest.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { environmentName, type Flag, flagName, type FlagSet, type Settings } from "./flags.ts";
import type { RawFlags } from "./parse.ts";

/** The settings of a command, with the origin of each in words. */
export interface ResolvedSettings<F extends FlagSet> {
  /** The values of the flags, by name; the object is frozen. */
  readonly settings: Settings<F>;
  readonly origins: Readonly<Record<string, string>>;
}

/** The texts from which settings are resolved, by their origin. */
export interface Sources {
  readonly commandLine: RawFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The configuration file; absent without `--config`. */
  readonly file?: { readonly path: string; readonly raw: RawFlags };
}

/** Resolves every flag of a set. The error has one line for each fault, those of `earlierFaults` first. */
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
 * Lists those of some flags that were typed, as `--server`. A variable or a configuration file is for all commands, so it may
 * set what one of them does not need.
 */
export function listTypedFlags(origins: Readonly<Record<string, string>>, keys: readonly string[]): readonly string[] {
  return keys.map((key) => origins[key] ?? "").filter((origin) => origin.startsWith("--"));
}

/** Describes each setting in a line: `--data-dir: "./x" (TLSBOOT_DATA_DIR)`. Secrets are redacted. */
export function describeSettings(flags: FlagSet, resolved: ResolvedSettings<FlagSet>): readonly string[] {
  return Object.entries(flags).map(([key, flag]) => {
    const value = resolved.settings[key];
    const shown = flag.isSecret && value !== undefined ? "[redacted]" : JSON.stringify(value) ?? "unset";
    return `--${flagName(key)}: ${shown} (${resolved.origins[key] ?? "default"})`;
  });
}

/**
 * Finds variables that have no effect, and returns a warning for each, with the nearest setting. Variables that the user did
 * not set are no mistake: Kubernetes sets `TLSBOOT_SERVICE_HOST` and the like in every pod in the namespace of a Service
 * whose name begins so, and hooks get variables of their own.
 */
export function findIgnoredVariables(
  env: Readonly<Record<string, string | undefined>>,
  flagSets: readonly FlagSet[],
): readonly string[] {
  const set = Object.keys(env).filter((name) => name.startsWith(PREFIX) && env[name] !== "");
  if (set.length === 0) return [];
  const commandLineOnly = new Map<string, string>();
  const known = new Set<string>();
  for (const [key, flag] of flagSets.flatMap((flags) => Object.entries(flags))) {
    if (flag.isCommandLineOnly) commandLineOnly.set(environmentName(key), `--${flagName(key)}`);
    else known.add(environmentName(key));
  }
  return set.flatMap((name) => {
    if (known.has(name)) return [];
    const flag = commandLineOnly.get(name);
    const isOfService = SERVICE_VARIABLE.test(name);
    if (flag !== undefined && !isOfService) return [`${name} is ignored: ${flag} is for the command line only`];
    const nearest = findNearest(name.slice(PREFIX.length), [...known].map((one) => one.slice(PREFIX.length)));
    if (OTHER_VARIABLES.has(name) || (isOfService && nearest === undefined)) return [];
    const hint = nearest === undefined ? "" : `, did you mean ${PREFIX}${nearest}?`;
    return [`${name} is ignored: there is no such setting${hint}`];
  });
}

/** Variables that are no settings: for the program as a whole, for its hooks, and for its own tests and builds. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  ...["EARLIEST_TIME", "CA_CERTIFICATE", "CERTIFICATE_FILE", "CHANGED", "NODE_NAME", "NOT_AFTER", "TRUST_BUNDLE_FILE"],
  ...["BUILD_COMMIT", "PROGRAMS", "SEED", "SOAK_SECONDS", "STORM_NODES", "POD_REQUESTS", "UPDATE_GOLDEN"],
  ...["UPDATE_SCREENSHOTS", "TEST_BINARY", "TEST_NODE", "TEST_SCRIPT", "TEST_SEED"],
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
  if (flag.isCommandLineOnly) return undefined;
  const name = environmentName(key);
  const text = sources.env[name];
  // An empty variable counts as unset.
  if (text !== undefined && text !== "") return { texts: [text], origin: name };
  const filed = sources.file?.raw[key];
  return filed === undefined ? undefined : { texts: filed, origin: `config file "${sources.file?.path}": ${key}` };
}
