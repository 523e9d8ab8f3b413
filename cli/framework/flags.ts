/**
 * Flags as values. A flag set is an object whose keys are names in camelCase: `dataDir` is `--data-dir`, and in commands
 * that read the environment and the configuration file also `TLSBOOT_DATA_DIR` and `dataDir:`. The type of a flag is the
 * type of its setting.
 */
import { formatDuration, formatSettingDuration, parseSettingDuration } from "../../core/lib/duration.ts";
import { isIP } from "node:net";
import { Secret } from "../../core/lib/brand.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";

/** The groups of options that commands share, in the order of help, each with a description. */
export const FLAG_GROUPS = {
  Connection: "The server that a command works with: the folder of its data on this machine, or a kubeconfig.",
  List: "What a list contains, and how it is printed, as with kubectl get.",
  "CA Key": "How a command opens the key of a CA.",
  "Cluster CA": "A CA in files, which programs other than tlsboot use.",
  Certificate: "The CAs that sign, the certificates that they issue, and the certificates of the server.",
  Access: "Authentication and authorization, and service account tokens.",
  Audit: "The log of requests.",
  etcd: "An etcd that stores the objects instead of a database in --data-dir.",
  Notification: "Messages to you, for example on your phone.",
  Tuning: "Limits, times and leader election.",
  Feature: "Features that are off by default.",
  Logging: "The log on stderr.",
  Global: "Options of every command; -h or --help shows its help.",
} as const;

/** One of the groups of options. */
export type FlagGroup = keyof typeof FLAG_GROUPS;

/** A flag with its default, its help and its parser. */
export interface Flag<T> {
  /** The group of options that the flag belongs to; undefined for one of a single command. */
  readonly group?: FlagGroup | undefined;
  /** The name of the value in help, such as `FILE`. Undefined for a switch, which takes only `=true` or `=false`. */
  readonly placeholder: string | undefined;
  /** The one-letter form, without the dash. */
  readonly short?: string | undefined;
  /** The description in help, in full sentences. */
  readonly summary: string;
  readonly default: T;
  /** The default as help shows it, in kubectl's form: `''`, `false` and so on. */
  readonly defaultText: string;
  readonly isRequired: boolean;
  readonly isRepeatable: boolean;
  /** True for a flag that is never read from the environment or the configuration file, because it is for one run only. */
  readonly isCommandLineOnly: boolean;
  /** True when `--debug` must not print the value. */
  readonly isSecret: boolean;
  /** The values that shell completion offers. */
  readonly completion: Completion;
  /** Parses one or more occurrences in order. The error says what is valid: `want a number from 1 to 65535`. */
  parse(texts: readonly string[]): Result<T, string>;
  /** Returns the texts that `parse` reads as the value, one for each occurrence. `showPath` formats paths in a text. */
  format(value: T, showPath: (path: string) => string): readonly string[];
}

/** The values that a shell offers for a flag or an argument. */
export type Completion =
  | { readonly kind: "none" | "file" | "directory" }
  | { readonly kind: "choices"; readonly choices: readonly string[] }
  /** Suggestions do not restrict the value. */
  | { readonly kind: "suggestions"; readonly suggestions: readonly string[] }
  /** Names of objects, which are read from the API when the user presses Tab. */
  | { readonly kind: "objects"; readonly objects: CompletedObjects };

/** Objects whose names are completed. `revocable` is everything that can be revoked, such as `node/n1`. */
export type CompletedObjects =
  | "certificates"
  | "requests"
  | "revocations"
  | "tokens"
  | "revocable"
  | "trustBundles";

/** The flags of a command, by their names in camelCase. */
export type FlagSet = Readonly<Record<string, Flag<unknown>>>;

/** The type of the settings of a flag set. */
export type Settings<F extends FlagSet> = { readonly [Key in keyof F]: F[Key] extends Flag<infer T> ? T : never };

/** Options that every kind of flag has. */
export interface FlagOptions {
  readonly summary: string;
  readonly group?: FlagGroup;
  readonly short?: string;
  readonly placeholder?: string;
  readonly isRequired?: boolean;
  readonly isCommandLineOnly?: boolean;
  readonly completion?: Completion;
}

/** Converts a key to the name of its flag without the dashes: `data-dir` for `dataDir`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Replaces settings in a message of another room with their flags: `the setting dataDir` with `--data-dir`. */
export function nameFlags(text: string): string {
  return text.replaceAll(/\bthe setting ([a-z][A-Za-z]*)/g, (_, key: string) => `--${flagName(key)}`);
}

/** Converts a key to the name of its environment variable: `TLSBOOT_DATA_DIR` for `dataDir`. */
export function environmentName(key: string): string {
  return `TLSBOOT_${flagName(key).replaceAll("-", "_").toUpperCase()}`;
}

/** Puts flags into a group of options. They must have the same meaning in all commands. */
export function inGroup<F extends FlagSet>(group: FlagGroup, flags: F): F {
  const grouped = Object.entries(flags).map(([key, value]) => [key, { ...value, group }] as const);
  return Object.fromEntries(grouped) as FlagSet as F; // the group changes no other property
}

/** The flags of one group, sorted by name. Without a group, those of a single command. */
export interface GroupedFlags {
  readonly group: FlagGroup | undefined;
  readonly entries: readonly (readonly [key: string, flag: Flag<unknown>])[];
}

/** Sorts flags by their groups and names, as help, manual pages and the reference show them. */
export function groupFlags(flags: FlagSet): readonly GroupedFlags[] {
  const sorted = Object.entries(flags).sort(([a], [b]) => flagName(a) < flagName(b) ? -1 : 1);
  return [undefined, ...Object.keys(FLAG_GROUPS) as FlagGroup[]].map((group) => ({
    group,
    entries: sorted.filter(([, item]) => item.group === group),
  })).filter(({ entries }) => entries.length > 0);
}

/** Creates a flag with a text. The last occurrence counts. Without a default, the setting may be undefined. */
export function textFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return flag<string | D>(options, {
    placeholder: "TEXT",
    default: options.default as D, // absent exactly when D is undefined
    defaultText: `'${options.default ?? ""}'`,
    parse: (texts) => ok(last(texts)),
  });
}

/** Creates a flag with the path of a file, which the shell completes. */
export function fileFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return textFlag({ placeholder: "FILE", completion: { kind: "file" }, ...options });
}

/** Creates a flag with the path of a folder, which the shell completes. */
export function directoryFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return {
    ...textFlag({ placeholder: "DIR", completion: { kind: "directory" }, ...options }),
    // An unset variable in a script must not mean the current folder.
    parse: (texts) => last(texts) === "" ? err("want the path of a folder") : ok(last(texts)),
  };
}

/** Creates a flag with a host name or an IP address, without scheme and port. */
export function hostFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return { ...textFlag({ placeholder: "HOST", ...options }), parse: (texts) => parseHost(last(texts)) };
}

/** Creates a flag with host names and IP addresses, repeated or separated by commas. */
export function hostListFlag(options: FlagOptions): Flag<readonly string[]> {
  return parsedListFlag({ ...options, parse: parseHost });
}

/** Labels of letters, digits and hyphens, with an optional wildcard in front and an optional dot at the end. */
const HOST_NAME = /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;

function parseHost(text: string): Result<string, string> {
  if (isIP(text) !== 0 || (text.length <= 253 && HOST_NAME.test(text))) return ok(text);
  return err("want a host name or an IP address, without scheme and port");
}

/** Creates a flag with an address to listen on: `HOST:PORT`, `:PORT` for every address, or `0` to listen nowhere. */
export function addressFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  const parse = (text: string) =>
    text === "0" || parseListenAddress(text) !== undefined ? ok(text) : err("want HOST:PORT, :PORT, or 0 for nowhere");
  return { ...textFlag({ placeholder: "ADDRESS", ...options }), parse: (texts) => parse(last(texts)) };
}

/** Parses the value of an `addressFlag`; undefined for `0` and for an invalid address. */
export function parseListenAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain = "", digits = ""] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (digits === "" || Number(digits) > 65_535 || (host !== "" && !parseHost(host).ok)) return undefined;
  return { host: host === "" ? "::" : host, port: Number(digits) };
}

/** Creates a switch: `--watch`, `--watch=false`. */
export function switchFlag(options: FlagOptions & { readonly default?: boolean }): Flag<boolean> {
  const initial = options.default ?? false;
  return {
    ...flag<boolean>(options, {
      placeholder: undefined,
      default: initial,
      defaultText: String(initial),
      parse: (texts) => parseSwitch(last(texts)),
    }),
    placeholder: undefined,
  };
}

/** Creates a flag with a whole number from `min` to `max`, both included. */
export function integerFlag<D extends number | undefined = undefined>(
  options: FlagOptions & { readonly default?: D; readonly min?: number; readonly max?: number },
): Flag<number | D> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options;
  return flag<number | D>(options, {
    placeholder: "NUMBER",
    default: options.default as D, // absent exactly when D is undefined
    defaultText: String(options.default ?? "''"),
    parse: (texts) => {
      const text = last(texts);
      const value = Number(text);
      if (/^[+-]?\d+$/.test(text) && value >= min && value <= max) return ok(value);
      return err(
        max === Number.MAX_SAFE_INTEGER ? `want a number from ${min} up` : `want a number from ${min} to ${max}`,
      );
    },
  });
}

/**
 * Creates a flag with a duration in Go's form, `10m` or `8760h0m0s`, or in days and years, `90d` or `10y`. The setting is in
 * milliseconds and never negative. `min` and `max` are limits in the same form, both included.
 */
export function durationFlag<D extends string | number | undefined = undefined>(
  options: FlagOptions & { readonly default?: D; readonly min?: string; readonly max?: string },
): Flag<number | (D extends string | number ? never : undefined)> {
  type Value = number | (D extends string | number ? never : undefined);
  const { min = "0", max } = options;
  const read = (text: string): number => {
    const duration = parseSettingDuration(text);
    return duration.ok ? duration.value : Number.NaN;
  };
  const { default: initial } = options;
  return flag<Value>(options, {
    placeholder: "DURATION",
    default: (typeof initial === "string" ? read(initial) : initial) as Value, // undefined exactly when D is undefined
    defaultText: typeof initial === "number" ? formatDefault(initial) : initial ?? "''",
    parse: (texts) => {
      const duration = parseSettingDuration(last(texts));
      if (!duration.ok) return duration;
      const isWithin = duration.value >= read(min) && (max === undefined || duration.value <= read(max));
      if (isWithin) return duration;
      return err(max === undefined ? `want a duration from ${min} up` : `want a duration from ${min} to ${max}`);
    },
    format: (value) =>
      value === undefined ? [] : [formatSettingDuration(value).replace(/(?<=m)0s$/, "").replace(/(?<=h)0m$/, "")],
  });
}

function formatDefault(ms: number): string {
  return ms === 0 ? "0" : formatDuration(ms);
}

/** Creates a flag with a list of texts, repeated or separated by commas, as in kubectl. */
export function listFlag(options: FlagOptions & { readonly default?: readonly string[] }): Flag<readonly string[]> {
  return parsedListFlag({ ...options, parse: ok });
}

/** Creates a flag with one of several words. */
export function choiceFlag<C extends string, D extends C | undefined = undefined>(
  options: FlagOptions & { readonly choices: readonly C[]; readonly default?: D },
): Flag<C | D> {
  const { choices } = options;
  return flag<C | D>(
    { completion: { kind: "choices", choices }, ...options },
    {
      placeholder: choices.join("|"),
      default: options.default as D, // absent exactly when D is undefined
      defaultText: `'${options.default ?? ""}'`,
      parse: (texts) => {
        const found = choices.find((choice) => choice === last(texts));
        return found === undefined ? err(`want one of ${choices.join(", ")}`) : ok(found);
      },
    },
  );
}

/** Creates a flag with a short-lived secret, such as a bootstrap token, which is never printed. */
export function secretFlag(options: FlagOptions): Flag<Secret<string> | undefined> {
  return {
    ...flag<Secret<string> | undefined>(options, {
      placeholder: "SECRET",
      default: undefined,
      defaultText: "''",
      parse: (texts) => ok(new Secret(last(texts))),
    }),
    isSecret: true,
  };
}

/** Converts a text to the value of a flag, and the value to a text. Values other than strings need `format`. */
interface Parsed<T> {
  readonly parse: (text: string) => Result<T, string>;
  readonly format?: (value: T, showPath: (path: string) => string) => string;
}

/** Creates a flag with a list of texts that `parse` reads, repeated or separated by commas. */
export function parsedListFlag<T>(
  options: FlagOptions & Parsed<T> & { readonly default?: readonly T[] },
): Flag<readonly T[]> {
  const { format = String, default: initial = [] } = options;
  return {
    ...flag<readonly T[]>(options, {
      placeholder: "LIST",
      default: initial,
      defaultText: `[${initial.map((value) => format(value, String)).join(",")}]`,
      parse: (texts) => {
        const values: T[] = [];
        const items = splitList(texts);
        for (const text of items) {
          const value = options.parse(text);
          if (!value.ok) return err(items.length === 1 ? value.error : `"${text}" is wrong, ${value.error}`);
          values.push(value.value);
        }
        return ok(values);
      },
      format: (values, showPath) => values.map((value) => format(value, showPath)),
    }),
    isRepeatable: true,
  };
}

/** Creates a flag with a text that `parse` reads. */
export function parsedFlag<T>(options: FlagOptions & Parsed<T>): Flag<T | undefined> {
  const { format = String } = options;
  return flag<T | undefined>(options, {
    placeholder: "TEXT",
    default: undefined,
    defaultText: "''",
    parse: (texts) => options.parse(last(texts)),
    format: (value, showPath) => value === undefined ? [] : [format(value, showPath)],
  });
}

/** Parses `true` or `false`, also in pflag's short forms. */
export function parseSwitch(text: string): Result<boolean, string> {
  if (["true", "t", "1"].includes(text.toLowerCase())) return ok(true);
  if (["false", "f", "0"].includes(text.toLowerCase())) return ok(false);
  return err("want true or false");
}

function flag<T>(
  options: FlagOptions,
  kind: Pick<Flag<T>, "placeholder" | "default" | "defaultText" | "parse"> & Partial<Pick<Flag<T>, "format">>,
): Flag<T> {
  return {
    format: (value) => [value].flat().map(String),
    ...kind,
    group: options.group,
    placeholder: options.placeholder ?? kind.placeholder,
    short: options.short,
    summary: options.summary,
    isRequired: options.isRequired ?? false,
    isRepeatable: false,
    isCommandLineOnly: options.isCommandLineOnly ?? false,
    isSecret: false,
    completion: options.completion ?? { kind: "none" },
  };
}

function splitList(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => text.split(",")).map((item) => item.trim()).filter((item) => item !== "");
}

function last(texts: readonly string[]): string {
  return texts[texts.length - 1] ?? "";
}
