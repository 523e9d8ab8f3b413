/**
 * Flags as values. A flag set is an object whose keys are the names in camelCase: `dataDir` is `--data-dir`,
 * `TLSBOOT_DATA_DIR` and `dataDir:` in the configuration file. The key's type is the type of the setting.
 */
import { parseDurationOrDays } from "../../core/lib/duration.ts";
import { isIP } from "node:net";
import { Secret } from "../../core/lib/brand.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";

/** One flag; `parse` is given every occurrence, in order, and never an empty list. */
export interface Flag<T> {
  /** What follows the flag in help, `FILE`; undefined for a switch, which stands alone or is `=true` or `=false`. */
  readonly placeholder: string | undefined;
  /** One letter, without the dash. */
  readonly short?: string;
  /** Sentences for help. */
  readonly summary: string;
  readonly default: T;
  /** The default as help shows it; `''`, `false` and so on as kubectl's. */
  readonly defaultText: string;
  readonly isRequired: boolean;
  readonly isRepeatable: boolean;
  /** True for what must be said on each command line: never taken from the environment or the configuration file. */
  readonly isCommandLineOnly: boolean;
  /** True when the value must not be printed by `--debug`. */
  readonly isSecret: boolean;
  /** What completion offers. */
  readonly completion: Completion;
  /** The error says what would be right: `want a number from 1 to 65535`. */
  parse(texts: readonly string[]): Result<T, string>;
}

/** What a shell offers for a value. */
export type Completion =
  | { readonly kind: "none" | "file" | "directory" }
  | { readonly kind: "choices"; readonly choices: readonly string[] }
  /** Some of the values that are possible. */
  | { readonly kind: "suggestions"; readonly suggestions: readonly string[] };

/** Flags by camelCase name. */
export type FlagSet = Readonly<Record<string, Flag<unknown>>>;

/** The settings that a flag set gives. */
export type Settings<F extends FlagSet> = { readonly [Key in keyof F]: F[Key] extends Flag<infer T> ? T : never };

/** What every kind of flag may say about itself. */
export interface FlagOptions {
  readonly summary: string;
  readonly short?: string;
  readonly placeholder?: string;
  readonly isRequired?: boolean;
  readonly isCommandLineOnly?: boolean;
  readonly completion?: Completion;
}

/** `--data-dir` of `dataDir`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `TLSBOOT_DATA_DIR` of `dataDir`. */
export function environmentName(key: string): string {
  return `TLSBOOT_${flagName(key).replaceAll("-", "_").toUpperCase()}`;
}

/** A text; the last occurrence counts. Undefined without a default. */
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

/** The path of a file; completed by the shell. */
export function fileFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return textFlag({ placeholder: "FILE", completion: { kind: "file" }, ...options });
}

/** The path of a folder; completed by the shell. */
export function directoryFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return {
    ...textFlag({ placeholder: "DIR", completion: { kind: "directory" }, ...options }),
    // An unset variable in a script must not mean the current folder.
    parse: (texts) => last(texts) === "" ? err("want the path of a folder") : ok(last(texts)),
  };
}

/** A host name or an IP address, without scheme and port. */
export function hostFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  return { ...textFlag({ placeholder: "HOST", ...options }), parse: (texts) => parseHost(last(texts)) };
}

/** Host names and IP addresses, by repeating the flag or with commas. */
export function hostListFlag(options: FlagOptions): Flag<readonly string[]> {
  return parsedListFlag({ ...options, parse: parseHost });
}

/** Labels of letters, digits and hyphens, a wildcard in front, a dot at the end. */
const HOST_NAME = /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;

function parseHost(text: string): Result<string, string> {
  if (isIP(text) !== 0 || (text.length <= 253 && HOST_NAME.test(text))) return ok(text);
  return err("want a host name or an IP address, without scheme and port");
}

/** Where to listen: `HOST:PORT`, `:PORT` for every address, `0` for nowhere. */
export function addressFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<string | D> {
  const parse = (text: string) =>
    text === "0" || parseListenAddress(text) !== undefined ? ok(text) : err("want HOST:PORT, :PORT, or 0 for nowhere");
  return { ...textFlag({ placeholder: "ADDRESS", ...options }), parse: (texts) => parse(last(texts)) };
}

/** Reads the value of an addressFlag; undefined for `0` and for what is no address. */
export function parseListenAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain = "", digits = ""] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (digits === "" || Number(digits) > 65_535 || (host !== "" && !parseHost(host).ok)) return undefined;
  return { host: host === "" ? "::" : host, port: Number(digits) };
}

/** A switch: `--watch`, `--watch=false`. */
export function switchFlag(options: FlagOptions & { readonly default?: boolean }): Flag<boolean> {
  const initially = options.default ?? false;
  return {
    ...flag<boolean>(options, {
      placeholder: undefined,
      default: initially,
      defaultText: String(initially),
      parse: (texts) => parseSwitch(last(texts)),
    }),
    placeholder: undefined,
  };
}

/** A whole number within limits, both included. */
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
 * A duration as Go writes it, `10m` or `8760h0m0s`, or in whole days, `90d`; in milliseconds, never negative. `min` and
 * `max` are limits in the same form, both included.
 */
export function durationFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D; readonly min?: string; readonly max?: string },
): Flag<number | (D extends string ? never : undefined)> {
  type Value = number | (D extends string ? never : undefined);
  const { min = "0", max } = options;
  const read = (text: string): number => {
    const duration = parseDurationOrDays(text);
    return duration.ok ? duration.value : Number.NaN;
  };
  return flag<Value>(options, {
    placeholder: "DURATION",
    default: (options.default === undefined ? undefined : read(options.default)) as Value, // undefined exactly without
    defaultText: options.default ?? "''",
    parse: (texts) => {
      const duration = parseDurationOrDays(last(texts));
      if (!duration.ok) return duration;
      const isWithin = duration.value >= read(min) && (max === undefined || duration.value <= read(max));
      if (isWithin) return duration;
      return err(max === undefined ? `want a duration from ${min} up` : `want a duration from ${min} to ${max}`);
    },
  });
}

/** Texts, by repeating the flag or with commas, as kubectl's lists. */
export function listFlag(
  options: FlagOptions & { readonly default?: readonly string[] },
): Flag<readonly string[]> {
  const initially = options.default ?? [];
  return {
    ...flag<readonly string[]>(options, {
      placeholder: "LIST",
      default: initially,
      defaultText: `[${initially.join(",")}]`,
      parse: (texts) => ok(splitList(texts)),
    }),
    isRepeatable: true,
  };
}

/** One of a few words. */
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

/** A short-lived secret, such as a bootstrap token; never printed. */
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

/** Texts with a syntax of their own, by repeating the flag or with commas; the first one that is wrong is named. */
export function parsedListFlag<T>(
  options: FlagOptions & { readonly parse: (text: string) => Result<T, string> },
): Flag<readonly T[]> {
  return {
    ...flag<readonly T[]>(options, {
      placeholder: "LIST",
      default: [],
      defaultText: "[]",
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
    }),
    isRepeatable: true,
  };
}

/** A text with a syntax of its own. */
export function parsedFlag<T>(
  options: FlagOptions & { readonly parse: (text: string) => Result<T, string> },
): Flag<T | undefined> {
  return flag<T | undefined>(options, {
    placeholder: "TEXT",
    default: undefined,
    defaultText: "''",
    parse: (texts) => options.parse(last(texts)),
  });
}

/** Reads `true` or `false`, with pflag's short forms. */
export function parseSwitch(text: string): Result<boolean, string> {
  if (["true", "t", "1"].includes(text.toLowerCase())) return ok(true);
  if (["false", "f", "0"].includes(text.toLowerCase())) return ok(false);
  return err("want true or false");
}

function flag<T>(
  options: FlagOptions,
  kind: Pick<Flag<T>, "placeholder" | "default" | "defaultText" | "parse">,
): Flag<T> {
  return {
    ...kind,
    placeholder: options.placeholder ?? kind.placeholder,
    ...(options.short === undefined ? {} : { short: options.short }),
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
