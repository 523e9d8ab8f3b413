/** Parses a command line into a command and the raw texts of its flags. The only user of commander. */
import { Command as Parser, CommanderError, Option } from "commander";
import { findNearest } from "../../core/lib/nearest.ts";
import { type Argument, type Command, type CommandTable, findSubcommands, getCommandName } from "./command.ts";
import { flagName, type FlagSet, parseSwitch } from "./flags.ts";
import { GLOBAL_FLAGS } from "./globals.ts";
import { type HelpTopic, renderHelp } from "./help.ts";
import { UsageError } from "./usage_error.ts";

/** The texts of the flags that were given, by name in camelCase, in order; a switch is `true` or `false`. */
export type RawFlags = Readonly<Record<string, readonly string[]>>;

/** The meaning of a command line: show help, or run a command. */
export type Invocation =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "run"; readonly command: Command; readonly args: readonly string[]; readonly raw: RawFlags };

/** Parses a command line (without program names). Throws UsageError with the nearest match of a mistyped word. */
export function parseCommandLine(argv: readonly string[], table: CommandTable): Invocation {
  const normalized = normalizeArgv(asCommand(argv, table), table);
  const fault = normalized.faults[0];
  if (fault !== undefined) {
    throw new UsageError(`cannot read ${fault.flag}: "${fault.value}" found, want true or false`);
  }
  let help = "";
  let invocation: Invocation | undefined;
  const root = createParser(
    narrowTable(normalized.argv, table),
    (text) => (help += text),
    (found) => (invocation = found),
  );
  try {
    root.parse(normalized.argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.helpDisplayed") return { kind: "help", text: help };
    const { words, parser } = findParser(normalized.argv, root);
    // Help that was not requested means that the command is missing.
    if (error.code !== "commander.help") throw toUsageError(error, words, parser, table);
    if (words.length === 0) return { kind: "help", text: help };
    throw missingCommand(words, table);
  }
  // Without a command commander shows help, so an action has run.
  return invocation ?? { kind: "help", text: renderHelp(table, { kind: "program" }) };
}

/** Rewrites `tlsboot --version`, `tlsboot -V` and `tlsboot help get csr` to the commands that they stand for. */
function asCommand(argv: readonly string[], table: CommandTable): readonly string[] {
  const [first, ...rest] = argv;
  if (first === "--version" || first === "-V") return ["version", ...rest];
  if (first !== "help") return argv;
  const words = rest.filter((word) => !word.startsWith("-"));
  const unknown = words.findIndex((_, index) => !isKnown(words.slice(0, index + 1), table));
  if (unknown < 0) return [...rest, "--help"];
  const parent = [table.program, ...words.slice(0, unknown)].join(" ");
  throw new UsageError(`unknown command "${words[unknown]}" for "${parent}"`, `see: ${parent} --help`);
}

/** True for the words of a command, and for the first words of one. */
function isKnown(words: readonly string[], table: CommandTable): boolean {
  return table.commands.some(({ path, aliases = [] }) =>
    [path, ...aliases.map((alias) => [...path.slice(0, -1), alias])].some((line) =>
      words.length <= line.length && words.every((word, index) => word === line[index])
    )
  );
}

/**
 * Keeps the commands that a command line can mean. When it begins with the word of a command, these are few, and setting
 * up the parser for the flags of all commands would take longer than many commands run.
 */
function narrowTable([first = ""]: readonly string[], table: CommandTable): CommandTable {
  const commands = table.commands.filter(({ path, aliases = [] }) =>
    path[0] === first || (path.length === 1 && aliases.includes(first))
  );
  if (commands.length === 0) return table;
  return { ...table, commands, families: table.families.filter(({ word }) => word === first) };
}

function createParser(
  table: CommandTable,
  onHelp: (text: string) => void,
  onRun: (invocation: Invocation) => void,
): Parser {
  const root = prepare(new Parser(table.program), table, { kind: "program" }, onHelp);
  addFlags(root, GLOBAL_FLAGS);
  root.helpCommand("help [COMMAND]", "Show help for a command");
  const families = new Map(table.families.map((family) => {
    const commands = findSubcommands(table, family.word);
    const parser = prepare(new Parser(family.word), table, { kind: "family", family }, onHelp);
    // `get -o wide csr`: with one command to choose from, its flags may stand before the last word.
    if (commands.length === 1) commands.forEach((command) => addFlags(parser, command.flags));
    root.addCommand(parser);
    return [family.word, parser] as const;
  }));
  for (const command of table.commands) {
    const parser = prepare(
      new Parser(command.path[command.path.length - 1]),
      table,
      { kind: "command", command },
      onHelp,
    );
    const [word = ""] = command.path;
    if (command.path.length === 1 && findSubcommands(table, word).length > 0) {
      // Flags behind the word of a subcommand belong to the subcommand.
      parser.enablePositionalOptions();
      families.set(word, parser);
    }
    for (const alias of command.aliases ?? []) parser.alias(alias);
    addFlags(parser, command.flags);
    for (const argument of command.args) parser.argument(toCommanderArgument(argument), argument.summary);
    parser.action(() =>
      onRun({ kind: "run", command, args: parser.args, raw: collectRawFlags(parser, command, table) })
    );
    (command.path.length === 1 ? root : families.get(word) ?? root).addCommand(parser);
  }
  return root;
}

function prepare(parser: Parser, table: CommandTable, topic: HelpTopic, onHelp: (text: string) => void): Parser {
  return parser
    .exitOverride()
    .showSuggestionAfterError(false)
    .helpOption("-h, --help", "Show this help")
    .helpCommand(false)
    .configureHelp({ formatHelp: () => renderHelp(table, topic) })
    // The caller reports errors. Help is an answer, also when it was not requested.
    .configureOutput({ writeOut: onHelp, writeErr: onHelp, outputError: () => {} });
}

function addFlags(parser: Parser, flags: FlagSet): void {
  for (const [key, flag] of Object.entries(flags)) {
    const short = flag.short === undefined ? "" : `-${flag.short}, `;
    const long = `--${flagName(key)}`;
    const collect = <T>(value: string, previous: T): T => [...(Array.isArray(previous) ? previous : []), value] as T;
    if (flag.placeholder === undefined) {
      const option = new Option(`${short}${long}`, flag.summary);
      // `--no-wait` is a switch of its own here, not the end of a `--wait`.
      option.negate = false;
      parser.addOption(option);
      parser.addOption(new Option(`--no-${long.slice(2)}`).hideHelp());
    } else {
      parser.addOption(new Option(`${short}${long} <${flag.placeholder}>`, flag.summary).argParser(collect));
    }
  }
}

/** Collects the texts of a command's flags, those of its parents first. Throws UsageError for a flag that only a parent has. */
function collectRawFlags(parser: Parser, command: Command, table: CommandTable): RawFlags {
  const raw: Record<string, string[]> = {};
  const chain: Parser[] = [];
  for (let current: Parser | null = parser; current !== null; current = current.parent) chain.unshift(current);
  for (const current of chain) {
    for (const [key, value] of Object.entries(current.opts<Record<string, unknown>>())) {
      const texts = Array.isArray(value) ? value.map(String) : [String(value)];
      if (!Object.hasOwn({ ...command.flags, ...GLOBAL_FLAGS }, key)) {
        const name = getCommandName(table, command);
        throw new UsageError(`unknown flag "--${flagName(key)}" for "${name}"`, `see: ${name} --help`);
      }
      raw[key] = [...(raw[key] ?? []), ...texts];
    }
  }
  return raw;
}

function toCommanderArgument(argument: Argument): string {
  const name = `${argument.name}${argument.isVariadic ? "..." : ""}`;
  return argument.isRequired ? `<${name}>` : `[${name}]`;
}

/** Finds the words at the start of a command line that name a command or family, and the parser for them. */
function findParser(
  argv: readonly string[],
  root: Parser,
): { readonly words: readonly string[]; readonly parser: Parser } {
  const words: string[] = [];
  let parser = root;
  for (const word of argv.filter((item) => !item.startsWith("-"))) {
    const next = parser.commands.find((item) => item.name() === word || item.aliases().includes(word));
    if (next === undefined) break;
    words.push(next.name());
    parser = next;
  }
  return { words, parser };
}

function missingCommand(words: readonly string[], table: CommandTable): UsageError {
  const name = [table.program, ...words].join(" ");
  const known = findSubcommands(table, words[0] ?? "").map(({ path }) => path.slice(1).join(" "));
  return new UsageError(`"${name}" needs a command: ${known.join(", ")}`, `see: ${name} --help`);
}

/** Translates an error of commander, with the nearest known word as a hint. */
function toUsageError(
  error: CommanderError,
  words: readonly string[],
  parser: Parser,
  table: CommandTable,
): UsageError {
  const name = [table.program, ...words].join(" ");
  const seeHelp = `see: ${name} --help`;
  const [first = ""] = error.message.replace(/^error: /, "").split("\n");
  const quoted = /'([^']*)'/.exec(first)?.[1] ?? "";
  const hint = (known: readonly string[], word = quoted): string => {
    const nearest = findNearest(word, known);
    return nearest === undefined ? seeHelp : `did you mean ${nearest}? ${seeHelp}`;
  };
  const commands = parser.commands.map((item) => item.name());
  switch (error.code) {
    case "commander.unknownCommand":
      return new UsageError(`unknown command "${quoted}" for "${name}"`, hint(commands));
    case "commander.unknownOption":
      return new UsageError(`unknown flag "${quoted}" for "${name}"`, hint(collectFlagNames(parser)));
    case "commander.missingArgument":
      return new UsageError(`"${name}" needs ${quoted === "" ? "an argument" : quoted}`, seeHelp);
    case "commander.optionMissingArgument":
      return new UsageError(`flag ${quoted.replace(/^-., /, "").replace(/ <[^]*$/, "")} needs a value`, seeHelp);
    case "commander.excessArguments":
      if (words.length === 1 && commands.length > 0) {
        const message = `"${name}" takes no arguments but its commands ${commands.join(", ")}`;
        return new UsageError(message, hint(commands, parser.args[0]));
      }
      return new UsageError(`too many arguments for "${name}"`, seeHelp);
    default:
      return new UsageError(first, seeHelp);
  }
}

/** Lists the flags of a parser and of its parents, without the hidden `--no-…` of switches. */
function collectFlagNames(parser: Parser): readonly string[] {
  const own = parser.options.flatMap(({ long, hidden }) => hidden || !long ? [] : [long]);
  return [...own, ...(parser.parent === null ? [] : collectFlagNames(parser.parent))];
}

/** A switch with a value that is neither true nor false. */
interface SwitchFault {
  readonly flag: string;
  readonly value: string;
}

/**
 * Rewrites spellings that pflag accepts and commander does not: `--watch=false` to `--no-watch`, `--watch=true` to
 * `--watch` and `-o=json` to `-ojson`. Words after `--` stay as they are. Faults are switches with another value.
 */
function normalizeArgv(
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

/** Maps each spelling of a switch to its long name. */
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
