/** Command lines that repeat a run: for the unit of a service, and for people who copy them into a shell. */
import { shellWord } from "../../core/lib/shell_word.ts";
import type { CommandSpec } from "./command.ts";
import { type Flag, flagName, type FlagSet, type Settings } from "./flags.ts";

/**
 * Returns the words after the program name: the path of the command, its arguments, and each flag whose value is not the
 * default. A secret is replaced by `-` for stdin, because the command is printed and stored.
 *
 * @param showPath writes a path: absolute, for a command that works from any folder, or relative, for a person.
 */
export function formatCommand<F extends FlagSet>(
  { path, flags }: Pick<CommandSpec<F>, "path" | "flags">,
  { args = [], settings }: { readonly args?: readonly string[]; readonly settings: Settings<F> },
  showPath: (path: string) => string,
): readonly string[] {
  const words = Object.entries(flags).flatMap(([key, flag]) => formatFlag(key, flag, settings[key], showPath));
  return [...path, ...args, ...words];
}

function formatFlag(
  key: string,
  flag: Flag<unknown>,
  value: unknown,
  showPath: (path: string) => string,
): readonly string[] {
  if (value === undefined || value === flag.default) return [];
  const name = `--${flagName(key)}`;
  if (flag.placeholder === undefined) return [value === true ? name : `${name}=false`];
  if (flag.isSecret) return [name, "-"];
  return formatSetting(flag, value, showPath).flatMap((text) => [name, text]);
}

/** Returns the texts of a setting, which its flag and a configuration file read again. */
export function formatSetting(
  flag: Flag<unknown>,
  value: unknown,
  showPath: (path: string) => string,
): readonly string[] {
  const isPath = flag.completion.kind === "file" || flag.completion.kind === "directory";
  return flag.format(value, showPath).map((text) => isPath && text !== "-" ? showPath(text) : text);
}

/** Formats words as a line for a shell. Flags and `-` for stdin have no quotes. */
export function formatWords(words: readonly string[]): string {
  return words.map((word) => /^-[a-z0-9-]*$/.test(word) ? word : shellWord(word)).join(" ");
}

/** Formats the words after the program name as a line for a shell. */
export function formatCommandLine(words: readonly string[]): string {
  return formatWords(["tlsboot", ...words]);
}
