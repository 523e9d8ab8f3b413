/**
 * A command is a value from which help, manual, completion and parser are derived, and also command lines that repeat a
 * run. The code of a command is loaded when it runs.
 */
import { lookup } from "../../core/lib/record.ts";
import { EXIT_MEANING, type ExitCode } from "../exit_code.ts";
import type { Io, Tools } from "../io.ts";
import {
  type Completion,
  environmentName,
  fileFlag,
  type Flag,
  flagName,
  type FlagSet,
  type Settings,
  switchFlag,
} from "./flags.ts";
import type { Rule } from "./rules.ts";
import { shellWord } from "../../core/lib/printable.ts";

/** The headings of the program's help, in the order of the help. */
export const COMMAND_GROUPS = [
  "Running Commands",
  "Machine Commands",
  "Request Commands",
  "Certificate Commands",
  "Trust Commands",
  "CA Commands",
  "Offline Commands",
  "Policy Commands",
  "File Commands",
  "Program Commands",
] as const;

/** One of the headings of the program's help. */
export type CommandGroup = (typeof COMMAND_GROUPS)[number];

/** A positional argument of a command. */
export interface Argument {
  /** The argument as help shows it, in kubectl's form: `[NAME...]`. */
  readonly text: string;
  readonly name: string;
  readonly summary: string;
  readonly isRequired: boolean;
  /** True for an argument that takes all remaining words. It must be the last. */
  readonly isVariadic: boolean;
  readonly completion: Completion;
}

/** The arguments and settings that a command runs with. */
export interface Input<F extends FlagSet = FlagSet> {
  /** The positional arguments, in order. */
  readonly args: readonly string[];
  /** The values of the flags, by name; the object is frozen. */
  readonly settings: Settings<F>;
  /** The source of each setting: `--data-dir`, `TLSBOOT_DATA_DIR` or `default`. */
  readonly origins: Readonly<Record<string, string>>;
  /** The program that the command belongs to. */
  readonly table: CommandTable;
  /** Runs another command line of the program in this process, and resolves with its exit code. It never rejects. */
  run(argv: readonly string[], io: Io, signal: AbortSignal): Promise<number>;
}

/** The code of a command, loaded when the command runs. */
export interface Action<F extends FlagSet = FlagSet> {
  /** Runs the command. Throws AppError, with the code `usage` for flags that contradict each other. */
  run(input: Input<F>, tools: Tools): Promise<ExitCode>;
}

/** The data of a command: everything that help, manual, completion and parser need. */
export interface CommandSpec<F extends FlagSet = FlagSet> {
  /** The words of the command: `["token", "create"]`. */
  readonly path: readonly string[];
  /** Other spellings of the last word, which help does not show. */
  readonly aliases?: readonly string[];
  /** A summary for lists of commands, without a period. */
  readonly summary: string;
  /** The paragraphs at the top of help. */
  readonly description: string;
  readonly group: CommandGroup;
  readonly args?: readonly Argument[];
  readonly flags: F;
  /** The command line of each example, by its comment. */
  readonly examples: Readonly<Record<string, string>>;
  /** Which flags, flags with one of their values, and arguments exclude or need each other. */
  readonly rules?: readonly Rule<`${Extract<keyof F, string>}${"" | `=${string}`}` | Uppercase<string>>[];
  /**
   * How the command treats `TLSBOOT_` variables and the configuration file. Every command reads the connection from them. A
   * `daemon` reads all its flags. A `strict` command signs, writes keys or restores: a variable that it does not read is an
   * error. For all other commands such a variable causes a warning.
   */
  readonly environment?: "daemon" | "strict" | undefined;
  /** The meaning of exit codes that this command describes more precisely. */
  readonly exitCodes?: Partial<Record<ExitCode, string>>;
}

/** A command of the program, with a function that loads its code. */
export interface Command<F extends FlagSet = FlagSet> extends CommandSpec<F> {
  readonly args: readonly Argument[];
  readonly exitCodes: Partial<Record<ExitCode, string>>;
  load(): Promise<Action<F>>;
}

/** The flags of every command, which may be before or after the command's words. */
export const GLOBAL_FLAGS = {
  config: fileFlag({
    group: "Global",
    summary: "Configuration file: YAML with apiVersion tlsboot/v1alpha1, kind Config and flags by name in camelCase.",
  }),
  debug: switchFlag({
    group: "Global",
    summary: "Print every setting with its origin, and the causes of a failure, on stderr.",
  }),
} as const;

/** The flags that say where the server or its data is. Users set their variables for all commands of a shell. */
const CONNECTION_FLAGS: ReadonlySet<string> = new Set(["dataDir", "kubeconfig", "server", "context", "caCertHash"]);

/** Reports whether a flag belongs to the connection. All commands read such flags from the environment too. */
export function isConnectionFlag(key: string): boolean {
  return CONNECTION_FLAGS.has(key);
}

/**
 * Returns the name of the variable that a command reads for a flag. Undefined for a flag that it reads neither from the
 * environment nor from the configuration file.
 */
export function findVariable(
  { environment }: Pick<CommandSpec, "environment">,
  key: string,
  flag: Flag<unknown>,
): string | undefined {
  const isRead = !flag.isCommandLineOnly && (environment === "daemon" || isConnectionFlag(key));
  return isRead ? environmentName(key) : undefined;
}

/** The parts of a command that determine which of its flags a configuration file can set. */
type Reader = Pick<CommandSpec, "flags" | "environment">;

/** Reports whether a configuration file may have a key: that of a flag of the running command, or else of any command. */
export function isConfigurable(key: string, command: Reader, all: readonly Reader[] = []): boolean {
  const readers = Object.hasOwn(command.flags, key) ? [command] : all;
  return readers.some((reader) => {
    const flag = lookup(reader.flags, key);
    return flag !== undefined && findVariable(reader, key, flag) !== undefined;
  });
}

/** A word that only groups commands, such as `token`. */
export interface CommandFamily {
  readonly word: string;
  readonly summary: string;
  /** The paragraphs of help. Default: the summary. */
  readonly description?: string;
  readonly group: CommandGroup;
}

/** All commands of a program, in the order of help. */
export interface CommandTable {
  /** The name of the program, as it is typed. */
  readonly program: string;
  /** The first paragraph of the program's help. */
  readonly description: string;
  readonly families: readonly CommandFamily[];
  /** The commands that the program's help shows, because a new user needs them. */
  readonly firstDay: readonly string[];
  readonly commands: readonly Command[];
}

/** Freezes the data of a command and infers its type from its flags. */
export function defineCommand<F extends FlagSet>(spec: CommandSpec<F>): CommandSpec<F> {
  return Object.freeze(spec);
}

/**
 * Adds the code to the data of a command. Only the command table does this: the code imports the type of its flags, so the
 * file with the flags must not import the code, not even lazily.
 */
export function withAction<F extends FlagSet>(spec: CommandSpec<F>, load: () => Promise<Action<F>>): Command<F> {
  return Object.freeze({ args: [], exitCodes: {}, ...spec, load });
}

/** Creates a positional argument from its text in help: `FILE`, `NAME...` for one or more, `[NAME]` for an optional one. */
export function argument(text: string, summary: string, completion: Completion = { kind: "none" }): Argument {
  return {
    text,
    name: text.replace(/^\[?(.+?)(?:\.{3})?\]?$/, "$1"),
    summary,
    isRequired: !text.startsWith("["),
    isVariadic: text.includes("..."),
    completion,
  };
}

/** Returns the exit codes of a command with their meanings, in order. 3 is included only if the command uses it. */
export function getExitCodes(command: Command): readonly (readonly [ExitCode, string])[] {
  const codes: readonly ExitCode[] = [0, 1, 2, 3, 130];
  return codes
    .filter((code) => code !== 3 || command.exitCodes[3] !== undefined)
    .map((code) => [code, command.exitCodes[code] ?? EXIT_MEANING[code]]);
}

/** Lists the words that run a command: its path, and its path with each alias as the last word. */
export function getSpellings({ path, aliases = [] }: Command): readonly (readonly string[])[] {
  return [path, ...aliases.map((alias) => [...path.slice(0, -1), alias])];
}

/** Finds the commands below a word, which is a family or also a command itself. */
export function findSubcommands(table: CommandTable, word: string): readonly Command[] {
  return table.commands.filter(({ path }) => path.length > 1 && path[0] === word);
}

/** Returns the full name of a command: `tlsboot token create`. */
export function getCommandName(table: CommandTable, command: Command): string {
  return [table.program, ...command.path].join(" ");
}

/**
 * Returns the words after the program name: the path of the command, its arguments, and each flag whose value is not its
 * default. A secret is replaced with `-` for stdin, because the command is printed and stored.
 *
 * @param showPath formats a path: absolute, for a command that works in any folder, or relative, for the user.
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

/** Returns the texts of a setting, from which its flag or a configuration file reads the same value. */
export function formatSetting(
  flag: Flag<unknown>,
  value: unknown,
  showPath: (path: string) => string,
): readonly string[] {
  const isPath = flag.completion.kind === "file" || flag.completion.kind === "directory";
  return flag.format(value, showPath).map((text) => isPath && text !== "-" ? showPath(text) : text);
}

/** Formats words as a line for a shell. Flags and `-` are not quoted. */
export function formatWords(words: readonly string[]): string {
  return words.map((word) => /^-[a-z0-9-]*$/.test(word) ? word : shellWord(word)).join(" ");
}

/** Formats the words after the program name as a line for a shell. */
export function formatCommandLine(words: readonly string[]): string {
  return formatWords(["tlsboot", ...words]);
}
