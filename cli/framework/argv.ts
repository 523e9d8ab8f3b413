/** Spellings that pflag accepts and commander does not, rewritten before parsing. */
import { type CommandTable } from "./command.ts";
import { flagName, type FlagSet, parseSwitch } from "./flags.ts";
import { GLOBAL_FLAGS } from "./globals.ts";

/** A switch given a value that is neither true nor false. */
export interface SwitchFault {
  readonly flag: string;
  readonly value: string;
}

/**
 * Rewrites `--watch=false` to `--no-watch`, `--watch=true` to `--watch` and `-o=json` to `-ojson`; words after `--` are
 * left alone. Faults are switches with another value.
 */
export function normalizeArgv(
  argv: readonly string[],
  table: CommandTable,
): { readonly argv: readonly string[]; readonly faults: readonly SwitchFault[] } {
  let switches: ReadonlyMap<string, string> | undefined;
  const findLongName = (name: string): string | undefined =>
    (switches ??= collectSwitches([GLOBAL_FLAGS, ...table.commands.map(({ flags }) => flags)])).get(name);
  const end = argv.indexOf("--");
  const faults: SwitchFault[] = [];
  const rewritten = argv.map((word, index) => {
    if (end >= 0 && index > end) return word;
    const short = /^-([A-Za-z])=(.*)$/s.exec(word);
    const match = /^(--[a-z][a-z0-9-]*)=(.*)$/s.exec(word);
    const name = match?.[1] ?? (short === null ? undefined : `-${short[1]}`);
    if (name === undefined) return word;
    const long = findLongName(name);
    const text = match?.[2] ?? short?.[2] ?? "";
    if (long === undefined) return short === null ? word : `-${short[1]}${short[2]}`;
    const value = parseSwitch(text);
    if (!value.ok) {
      faults.push({ flag: name, value: text });
      return long;
    }
    return value.value ? long : `--no-${long.slice(2)}`;
  });
  return { argv: rewritten, faults };
}

/** Long names of switches by each of their spellings. */
function collectSwitches(flagSets: readonly FlagSet[]): ReadonlyMap<string, string> {
  const switches = new Map<string, string>();
  for (const flags of flagSets) {
    for (const [key, flag] of Object.entries(flags)) {
      if (flag.placeholder !== undefined) continue;
      const long = `--${flagName(key)}`;
      switches.set(long, long);
      if (flag.short !== undefined) switches.set(`-${flag.short}`, long);
    }
  }
  return switches;
}
