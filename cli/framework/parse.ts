/**
 * Parses a command line into a command and the texts of its flags. Node's `parseArgs` splits the words. It gets the flags
 * of all commands, so a flag may be anywhere, even before the words of its command.
 */
import { parseArgs } from "node:util";
import { findNearest } from "../../core/lib/nearest.ts";
import { type Command, type CommandTable, findSubcommands, getSpellings, GLOBAL_FLAGS } from "./command.ts";
import { flagName, type FlagSet, parseSwitch } from "./flags.ts";
import { getTopicPath, type HelpTopic, renderHelp } from "./help.ts";
import { UsageError } from "../exit_code.ts";

/** The texts of the given flags in order, by name in camelCase. A switch is `true` or `false`. */
export type RawFlags = Readonly<Record<string, readonly string[]>>;

/** The meaning of a command line: show help, or run a command. */
type Invocation =
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "run"; readonly command: Command; readonly args: readonly string[]; readonly raw: RawFlags };

/**
 * Parses a command line without the program's name. `columns` returns the width of the terminal, for help. Throws
 * UsageError with the nearest match for a mistyped word.
 */
export function parseCommandLine(
  argv: readonly string[],
  table: CommandTable,
  columns?: () => number | undefined,
): Invocation {
  if (/^(?:help )?options$/.test(argv.join(" "))) {
    return { kind: "help", text: renderHelp(table, { kind: "options" }, columns?.()) };
  }
  const { words, typed } = splitWords(toCommandWords(argv, table), table);
  const topic = findTopic(words, table);
  const isHelp = typed.some(({ name }) => name === "help");
  const isAll = typed.some(({ name }) => name === "all");
  if (isHelp) return { kind: "help", text: renderHelp(table, topic, columns?.(), isAll) };
  const path = getTopicPath(topic);
  const args = words.slice(path.length);
  const at: Place = { name: [table.program, ...path].join(" "), topic, table };
  if (topic.kind !== "command" && args.length > 0) throw createWrongWordsError(words, at);
  const raw = collectRawFlags(typed, at);
  switch (topic.kind) {
    case "program":
      return { kind: "help", text: renderHelp(table, topic, columns?.()) };
    case "family":
      throw new UsageError(`"${at.name}" needs a command: ${listCommandWords(at).join(", ")}`, seeHelp(at));
    case "command":
      checkArguments(topic.command, args, at);
      return { kind: "run", command: topic.command, args, raw };
  }
}

/** The topic of the first words of a command line, for messages about the rest of the line. */
interface Place {
  /** The program and the words of the topic: `tlsboot token`. */
  readonly name: string;
  readonly topic: HelpTopic;
  readonly table: CommandTable;
}

/** A flag as it was typed. */
interface TypedFlag {
  /** The long name without dashes, or what was typed instead of one. */
  readonly name: string;
  /** The flag with its dashes: `--output`, `-o`. */
  readonly rawName: string;
  readonly value: string | undefined;
}

/** Rewrites `tlsboot --version`, `tlsboot -V` and `tlsboot help get csr` to the commands that they mean. */
function toCommandWords(argv: readonly string[], table: CommandTable): readonly string[] {
  const [first, ...rest] = argv;
  if (first === "--version" || first === "-V") return ["version", ...rest];
  if (first !== "help") return argv;
  const words = rest.filter((word) => !word.startsWith("-"));
  const isKnown = (count: number): boolean =>
    table.commands.some((command) =>
      getSpellings(command).some((path) =>
        count <= path.length && words.slice(0, count).every((word, at) => word === path[at])
      )
    );
  const unknown = words.findIndex((_, index) => !isKnown(index + 1));
  if (unknown < 0) return ["--help", ...rest];
  const parent = [table.program, ...words.slice(0, unknown)].join(" ");
  throw new UsageError(`unknown command "${words[unknown]}" for "${parent}"`, `see: ${parent} --help`);
}

const SHORT_WITH_VALUE = /^-([A-Za-z])=/;

/** Splits a command line into its words and its flags, each with its value. */
function splitWords(
  argv: readonly string[],
  table: CommandTable,
): { readonly words: readonly string[]; readonly typed: readonly TypedFlag[] } {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {};
  const longNames = new Map<string, string>();
  for (const flags of [GLOBAL_FLAGS, ...table.commands.map((command) => command.flags)]) {
    for (const [key, { short, placeholder }] of Object.entries(flags)) {
      const name = flagName(key);
      options[name] = {
        type: placeholder === undefined ? "boolean" : "string",
        ...(short === undefined ? {} : { short }),
      };
      if (short !== undefined) longNames.set(short, name);
    }
  }
  options["help"] = { type: "boolean", short: "h" };
  const end = argv.indexOf("--");
  // pflag accepts `-o=json` and `-w=false`, which parseArgs reads differently.
  const args = argv.map((word, index) => {
    const name = longNames.get(SHORT_WITH_VALUE.exec(word)?.[1] ?? "");
    return name === undefined || (end >= 0 && index > end) ? word : `--${name}${word.slice("-o".length)}`;
  });
  const { positionals, tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const typed = tokens.filter((token) => token.kind === "option").map((
    { index, name, rawName, value, inlineValue },
  ) => ({
    name,
    rawName: args[index] === argv[index] ? rawName : `-${options[name]?.short}`,
    value: inlineValue === false ? argv[index + 1] : value,
  }));
  return { words: positionals, typed };
}

/** Finds the command or the family of the first words, or else the program. */
function findTopic(words: readonly string[], table: CommandTable): HelpTopic {
  const [command] = table.commands
    .filter((item) => getSpellings(item).some((path) => path.every((word, index) => word === words[index])))
    .sort((a, b) => b.path.length - a.path.length);
  if (command !== undefined) return { kind: "command", command };
  const family = table.families.find(({ word }) => word === words[0]);
  return family === undefined ? { kind: "program" } : { kind: "family", family };
}

/** Collects the texts of the flags. Throws UsageError for a flag that the command does not have, or that has no value. */
function collectRawFlags(typed: readonly TypedFlag[], at: Place): RawFlags {
  const flags = getFlags(at);
  const keys = new Map(Object.keys(flags).map((key) => [flagName(key), key]));
  const raw: Record<string, string[]> = {};
  for (const { name, rawName, value } of typed) {
    const key = keys.get(name);
    const negated = value === undefined && name.startsWith("no-") ? keys.get(name.slice("no-".length)) : undefined;
    if (key === undefined) {
      if (negated === undefined || flags[negated]?.placeholder !== undefined) throw createUnknownFlagError(rawName, at);
      raw[negated] = ["false"];
    } else if (flags[key]?.placeholder === undefined) {
      const isOn = parseSwitch(value ?? "true");
      if (!isOn.ok) throw new UsageError(`cannot read ${rawName}: "${value}" found, ${isOn.error}`);
      raw[key] = [String(isOn.value)];
    } else {
      if (value === undefined) throw new UsageError(`flag --${name} needs a value`, seeHelp(at));
      raw[key] = [...(raw[key] ?? []), value];
    }
  }
  return raw;
}

/** Returns the flags that a command line may have: those of the command, or of all commands in a family. */
function getFlags({ topic, table }: Place): FlagSet {
  const commands = topic.kind === "command"
    ? [topic.command]
    : topic.kind === "family"
    ? findSubcommands(table, topic.family.word)
    : [];
  return Object.assign({}, ...commands.map((command) => command.flags), GLOBAL_FLAGS);
}

function checkArguments({ args: known }: Command, args: readonly string[], at: Place): void {
  const missing = known.find(({ isRequired }, index) => isRequired && index >= args.length);
  if (missing !== undefined) throw new UsageError(`"${at.name}" needs ${missing.name}`, seeHelp(at));
  if (args.length <= known.length || known[known.length - 1]?.isVariadic === true) return;
  const commands = listCommandWords(at);
  if (commands.length === 0) throw new UsageError(`too many arguments for "${at.name}"`, seeHelp(at));
  const message = `"${at.name}" takes no arguments but its commands ${commands.join(", ")}`;
  throw new UsageError(message, suggest(args[0] ?? "", commands, at));
}

/** Creates the error for words that are not a command: one is unknown, or another one is missing. */
function createWrongWordsError(words: readonly string[], { topic, table }: Place): UsageError {
  const findBelow = (length: number): readonly Command[] =>
    table.commands.filter(({ path }) =>
      path.length > length && words.slice(0, length).every((word, at) => word === path[at])
    );
  let length = 0;
  while (length < words.length && findBelow(length + 1).length > 0) length++;
  const [word] = words.slice(length);
  const name = [table.program, ...words.slice(0, length)].join(" ");
  const at: Place = { name: [table.program, ...words.slice(0, Math.min(length, 1))].join(" "), topic, table };
  const next = length === 0 ? listCommandWords(at) : findBelow(length).map(({ path }) => path.slice(length).join(" "));
  return word === undefined
    ? new UsageError(`"${name}" needs a command: ${next.join(", ")}`, seeHelp(at))
    : new UsageError(`unknown command "${word}" for "${name}"`, suggest(word, next, at));
}

function createUnknownFlagError(rawName: string, at: Place): UsageError {
  const known = [...Object.keys(getFlags(at)).map((key) => `--${flagName(key)}`), "--help"];
  return new UsageError(`unknown flag "${rawName}" for "${at.name}"`, suggest(rawName, known, at));
}

/** Lists the words that may follow: the commands below a word, or the first words of all commands. */
function listCommandWords({ topic, table }: Place): readonly string[] {
  const [word] = getTopicPath(topic);
  if (word !== undefined) {
    return topic.kind === "command" && topic.command.path.length > 1
      ? []
      : findSubcommands(table, word).map(({ path }) => path.slice(1).join(" "));
  }
  return [...table.families.map((family) => family.word), ...table.commands.map(({ path: [first = ""] }) => first)];
}

/** Returns the hint for a mistyped word: the nearest known word, and the help to read. */
function suggest(word: string, known: readonly string[], at: Place): string {
  const nearest = findNearest(word, known);
  return nearest === undefined ? seeHelp(at) : `did you mean ${nearest}? ${seeHelp(at)}`;
}

function seeHelp({ name }: Place): string {
  return `see: ${name} --help`;
}
