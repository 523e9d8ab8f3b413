/** A command is a value; help, manual, completion and parser follow from it. What it does is loaded when it runs. */
import { EXIT_MEANING, type ExitCode } from "../exit_code.ts";
import type { Io } from "../io.ts";
import type { Completion, FlagSet, Settings } from "./flags.ts";

/** The headings of the program's help, in their order. */
export const COMMAND_GROUPS = [
  "Starting Commands",
  "Role Commands",
  "Certificate Signing Request Commands",
  "Key and File Commands",
  "Settings Commands",
  "Other Commands",
] as const;

/** One heading. */
export type CommandGroup = (typeof COMMAND_GROUPS)[number];

/** A positional argument. */
export interface Argument {
  /** In upper case, as help shows it. */
  readonly name: string;
  readonly summary: string;
  readonly isRequired: boolean;
  /** Only the last one may take all that is left. */
  readonly isVariadic: boolean;
  readonly completion: Completion;
}

/** An example with the comment above it. */
export interface Example {
  readonly comment: string;
  readonly command: string;
}

/** What the command is given. */
export interface Input<F extends FlagSet = FlagSet> {
  /** The positional arguments. */
  readonly args: readonly string[];
  /** Frozen. */
  readonly settings: Settings<F>;
  /** Where each setting comes from, in words: `--data-dir`, `TLSBOOT_DATA_DIR`, `default`. */
  readonly origins: Readonly<Record<string, string>>;
  /** True with `--debug`. */
  readonly isDebug: boolean;
}

/** What is loaded to run a command. */
export interface Action<F extends FlagSet = FlagSet> {
  /** Throws AppError; `usage` for a combination of flags that makes no sense. */
  run(input: Input<F>, io: Io, signal: AbortSignal): Promise<ExitCode>;
}

/** A command of the program. */
export interface Command<F extends FlagSet = FlagSet> {
  /** The words that call it: `["token", "create"]`. */
  readonly path: readonly string[];
  /** Other spellings of the last word; not in help. */
  readonly aliases?: readonly string[];
  /** A few words for lists, without a period. */
  readonly summary: string;
  /** Paragraphs; the first line stands at the top of help. */
  readonly description: string;
  readonly group: CommandGroup;
  readonly args: readonly Argument[];
  readonly flags: F;
  readonly examples: readonly Example[];
  /** The codes it ends with, beside 1, 2 and 130, and what they mean here. */
  readonly exitCodes: Partial<Record<ExitCode, string>>;
  load(): Promise<Action<F>>;
}

/** Words that only hold commands, such as `token`. */
export interface CommandFamily {
  readonly word: string;
  readonly summary: string;
  readonly description: string;
  readonly group: CommandGroup;
}

/** Every command of a program. */
export interface CommandTable {
  /** The name of the program. */
  readonly program: string;
  /** The first paragraph of its help. */
  readonly description: string;
  readonly families: readonly CommandFamily[];
  readonly commands: readonly Command[];
}

/** Types a command by its flags; the value is the argument. */
export function defineCommand<F extends FlagSet>(command: Command<F>): Command<F> {
  return Object.freeze(command);
}

/** A positional argument; required unless told otherwise. */
export function argument(
  name: string,
  summary: string,
  options: { readonly optional?: boolean; readonly variadic?: boolean; readonly completion?: Completion } = {},
): Argument {
  return {
    name,
    summary,
    isRequired: options.optional !== true,
    isVariadic: options.variadic === true,
    completion: options.completion ?? { kind: "none" },
  };
}

/** The exit codes of a command with their meaning, in order; code 3 only where the command says it. */
export function getExitCodes(command: Command): readonly (readonly [ExitCode, string])[] {
  const codes: readonly ExitCode[] = [0, 1, 2, 3, 130];
  return codes
    .filter((code) => code !== 3 || command.exitCodes[3] !== undefined)
    .map((code) => [code, command.exitCodes[code] ?? EXIT_MEANING[code]]);
}

/** The commands behind a word: those of a family, or of a command that does something by itself too. */
export function findSubcommands(table: CommandTable, word: string): readonly Command[] {
  return table.commands.filter(({ path }) => path.length > 1 && path[0] === word);
}

/** `tlsboot token create`. */
export function getCommandName(table: CommandTable, command: Command): string {
  return [table.program, ...command.path].join(" ");
}
