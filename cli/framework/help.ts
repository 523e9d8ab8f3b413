/** Help texts, laid out and grouped like kubectl's. */
import {
  type Command,
  COMMAND_GROUPS,
  type CommandFamily,
  type CommandGroup,
  type CommandTable,
  findSubcommands,
  getCommandName,
  getExitCodes,
  GLOBAL_FLAGS,
} from "./command.ts";
import { environmentName, type Flag, FLAG_GROUPS, flagName, type GroupedFlags, groupFlags } from "./flags.ts";
import { describeRule, getItems } from "./rules.ts";
import { wrapWords } from "../output/layout.ts";

/** The subject of a help text or a manual page. */
export type HelpTopic =
  | { readonly kind: "program" }
  | { readonly kind: "family"; readonly family: CommandFamily }
  | { readonly kind: "command"; readonly command: Command };

/** Returns the words of the command or family of a topic; none for the program. */
export function getTopicPath(topic: HelpTopic): readonly string[] {
  switch (topic.kind) {
    case "program":
      return [];
    case "family":
      return [topic.family.word];
    case "command":
      return topic.command.path;
  }
}

/** The width of help outside of a terminal. */
const DEFAULT_WIDTH = 80;
/** The smallest width. In narrower terminals, lines that the terminal breaks are easier to read. */
const MIN_WIDTH = 40;
/** The largest width. Longer lines are hard to read. */
const MAX_WIDTH = 120;
/** The width of a tab, with which kubectl indents the descriptions of flags. */
const TAB = " ".repeat(8);

/**
 * Renders the help text for a terminal with `columns` characters, with a line break at its end. `isAll` lists all commands
 * of the program, not only those of the first day, and all flags of a command, not only its own.
 */
export function renderHelp(
  table: CommandTable,
  topic: HelpTopic | { readonly kind: "options" },
  columns: number = DEFAULT_WIDTH,
  isAll: boolean = false,
): string {
  const width = Math.max(MIN_WIDTH, Math.min(columns, MAX_WIDTH));
  const sections = topic.kind === "options"
    ? optionsSections(table, width)
    : topic.kind === "command"
    ? commandSections(table, topic.command, width, isAll)
    : topic.kind === "family"
    ? familySections(table, topic.family, width)
    : isAll
    ? allSections(table, width)
    : programSections(table, width);
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** Formats the usage of a command, as in the Usage section and the manual: `tlsboot token create [flags]`. */
export function usageLine(table: CommandTable, command: Command): string {
  return [getCommandName(table, command), ...usageWords(command)].join(" ");
}

/** Returns the words that follow the name of a command in its usage: `NAME... [flags]`. */
export function usageWords(command: Command): readonly string[] {
  return [...command.args.map(({ text }) => text), "[flags]"];
}

/** Formats a flag with its default in kubectl's form: `-o, --output=''`. */
export function flagHeading(key: string, flag: Flag<unknown>): string {
  const short = flag.short === undefined ? "" : `-${flag.short}, `;
  return `${short}--${flagName(key)}=${flag.defaultText}`;
}

/** Describes a flag: its summary, the words that it accepts, and whether it is required. */
export function flagText(flag: Flag<unknown>): string {
  const choices = flag.completion.kind === "choices" ? ` One of: (${flag.completion.choices.join(", ")}).` : "";
  return `${flag.summary}${choices}${flag.isRequired ? " Required." : ""}`;
}

/** The precedence between the values of a flag. */
const PRECEDENCE = "A flag on the command line takes precedence over its TLSBOOT_ variable, the variable over the " +
  "--config file, and the file over the default.";

/** Describes which commands read which variables, and their precedence. */
export function describeVariables({ commands }: CommandTable): string {
  const daemons = commands.filter(({ environment }) => environment === "daemon").map(({ path }) => path.join(" "));
  return `${PRECEDENCE} Programs that keep running (${
    daemons.join(", ")
  }) read a variable for each flag that has one; ` +
    `other commands read only those that say where the server is, such as ${
      environmentName("dataDir")
    }. The file can set ` +
    "the flags that have a variable. A command that signs, writes keys or restores refuses to run (exit code 2) while a " +
    "variable is set that it does not read; the others warn.";
}

/** Lists all commands, with a line for each noun: `token create|list|delete`. */
function allSections(table: CommandTable, width: number): string[] {
  const groups = COMMAND_GROUPS.map((group) => `${group}:\n${list(listNouns(table, group), width)}`);
  return [...groups, wrapText(`Use "${table.program} COMMAND --help" for more about a command.`, width)];
}

/** First words that are verbs. Each of their commands has its own line. */
const VERBS = ["", "get", "describe", "delete", "verify"];

function listNouns({ commands, families }: CommandTable, group: CommandGroup): readonly (readonly [string, string])[] {
  const nouns = new Map<string, string[]>();
  for (const { path } of commands.filter((command) => command.group === group)) {
    const noun = path.slice(0, -1).join(" ");
    const [last = ""] = path.slice(-1);
    const isCommand = commands.some((command) => command.path.join(" ") === noun);
    if (VERBS.includes(noun) || isCommand) nouns.set(path.join(" "), []);
    else nouns.set(noun, [...nouns.get(noun) ?? [], last]);
  }
  const summaries = new Map([
    ...families.map(({ word, summary }) => [word, summary] as const),
    ...commands.map(toEntry),
  ]);
  return [...nouns].map(([noun, words]) => {
    const [first = noun] = words.map((word) => `${noun} ${word}`);
    const name = words.length > 1 ? `${noun} ${words.join("|")}` : first;
    return [name, summaries.get(words.length > 1 ? noun : first) ?? summaries.get(first) ?? ""];
  });
}

function toEntry({ path, summary }: Command): readonly [string, string] {
  return [path.join(" "), summary];
}

function programSections(table: CommandTable, width: number): string[] {
  const entries = table.commands.map(toEntry).filter(([name]) => table.firstDay.includes(name));
  const notes = [
    "Flags of programs that keep running, and flags that say where the server is, can also be set in the --config file " +
    `or as TLSBOOT_<FLAG> in the environment (--data-dir: ${environmentName("dataDir")}). ${PRECEDENCE} ` +
    "docs/reference/cli.md says which flags have a variable.",
    "As with kubectl, servers are reached through the proxy in HTTPS_PROXY, except for those in NO_PROXY.",
    `Use "${table.program} COMMAND --help" for more about a command, "${table.program} help --all" for all commands, and ` +
    `"${table.program} help options" for the options that several commands take.`,
  ];
  return [
    wrapText(table.description, width),
    `The First Day:\n${list(entries, width)}`,
    `Usage:\n  ${table.program} COMMAND [flags]`,
    notes.map((note) => wrapText(note, width)).join("\n"),
  ];
}

function familySections(table: CommandTable, family: CommandFamily, width: number): string[] {
  return [
    wrapText(family.description ?? `${family.summary}.`, width),
    subcommandsSection(table, family.word, width),
    `Usage:\n  ${table.program} ${family.word} COMMAND [flags]`,
    wrapText(`Use "${table.program} ${family.word} COMMAND --help" for more about a command.`, width),
  ];
}

function subcommandsSection(table: CommandTable, word: string, width: number): string {
  const commands = findSubcommands(table, word);
  if (commands.length === 0) return "";
  return `Available Commands:\n${list(commands.map(({ path, summary }) => [path.slice(1).join(" "), summary]), width)}`;
}

function commandSections(table: CommandTable, command: Command, width: number, isAll: boolean): string[] {
  const groups = groupFlags({ ...command.flags, ...GLOBAL_FLAGS });
  const shown = groups.filter(({ group }) => isAll || group === undefined);
  const examples = Object.entries(command.examples).map(([comment, line]) =>
    // Commands are not wrapped, so that they can be copied.
    [...wrapWords(comment, width, "  # "), `  ${line}`].join("\n")
  );
  const args = command.args.map(({ text, summary }) => [text, summary] as const);
  return [
    wrapText(command.description, width),
    command.path.length === 1 ? subcommandsSection(table, command.path[0] ?? "", width) : "",
    examples.length === 0 ? "" : `Examples:\n${examples.join("\n\n")}`,
    args.length === 0 ? "" : `Arguments:\n${list(args, width)}`,
    ...shown.map((flags) => flagsSection(flags, width)),
    ...(isAll ? [] : sharedOptions(table, command, width)),
    rulesSection(command, shown.flatMap(({ entries }) => entries.map(([key]) => key)), width),
    `Exit Codes:\n${list(getExitCodes(command).map(([code, meaning]) => [String(code), meaning]), width)}`,
    `Usage:\n  ${usageLine(table, command)}`,
  ];
}

/** Shows the rules between items that the help shows. */
function rulesSection({ args, rules = [] }: Command, keys: readonly string[], width: number): string {
  const shown = new Set([...keys, ...args.map(({ name }) => name)]);
  const lines = rules
    .filter((rule) => getItems(rule).every((item) => shown.has(item)))
    .flatMap((rule) => wrapWords(`${describeRule(rule)}.`, width, "  "));
  return lines.length === 0 ? "" : `Rules:\n${lines.join("\n")}`;
}

/** The largest group of options that the help of a command lists by name. */
const MAX_NAMES = 6;

/** Lists the shared options of a command, with a line for each group. */
function sharedOptions(table: CommandTable, { path, flags }: Command, width: number): string[] {
  const groups = groupFlags({ ...flags, ...GLOBAL_FLAGS }).flatMap(({ group, entries }): [string, string][] => {
    if (group === undefined) return [];
    const names = entries.map(([key]) => `--${flagName(key)}`).join(", ");
    return [[group, entries.length <= MAX_NAMES ? names : `${FLAG_GROUPS[group]} ${entries.length} options.`]];
  });
  const use = `Use "${table.program} help options" for more about them, or "${table.program} help ${
    path.join(" ")
  } --all" for all options of this command.`;
  return [`Shared Options:\n${list(groups, width)}`, wrapText(use, width)];
}

/** Shows every shared option by group. */
function optionsSections(table: CommandTable, width: number): string[] {
  return [
    wrapText("Options that several commands take. The help of a command lists those that it takes.", width),
    ...groupSharedFlags(table).map((group) => flagsSection(group, width)),
  ];
}

/** Returns every option that is in a group, once. */
export function groupSharedFlags({ commands }: CommandTable): readonly GroupedFlags[] {
  const flags = commands.flatMap((command) => Object.entries({ ...command.flags, ...GLOBAL_FLAGS }));
  return groupFlags(Object.fromEntries(flags.filter(([, { group }]) => group !== undefined)));
}

function flagsSection({ group, entries }: GroupedFlags, width: number): string {
  const blocks = entries.map(([key, flag]) => {
    const lines = wrapWords(flagText(flag), width, TAB).map((line) => `\t${line.slice(TAB.length)}`);
    return [`    ${flagHeading(key, flag)}:`, ...lines].join("\n");
  });
  const title = group === undefined
    ? "Options:"
    : `${group} Options:\n${wrapWords(FLAG_GROUPS[group], width, "  ").join("\n")}\n`;
  return [title, blocks.join("\n\n")].join("\n");
}

/** A paragraph of a text, or lines that keep their breaks because all are indented by two or more spaces. */
interface TextBlock {
  /** The paragraph as one line, or the lines as they are. */
  readonly text: string;
  readonly isFixed: boolean;
  readonly isIndented: boolean;
}

/** Splits a text at blank lines into blocks. */
export function splitText(text: string): readonly TextBlock[] {
  return text.split(/\n\s*\n/).map((block) => {
    const lines = block.split("\n");
    const isFixed = lines.every((line) => line.startsWith("  "));
    return {
      text: isFixed ? block : lines.map((line) => line.trim()).join(" "),
      isFixed,
      isIndented: block.startsWith(" "),
    };
  });
}

/** Wraps the paragraphs of a text, and keeps the indentation of each. */
function wrapText(text: string, width: number): string {
  return splitText(text).map((block) =>
    block.isFixed ? block.text : wrapWords(block.text, width, block.isIndented ? " " : "").join("\n")
  ).join("\n\n");
}

/** The smallest width of the descriptions. With less room, they begin on the line after the name. */
const MIN_TEXT_WIDTH = 30;

function list(entries: readonly (readonly [string, string])[], width: number): string {
  const column = Math.max(16, ...entries.map(([name]) => name.length + 2)) + 2;
  const isNarrow = width - column < MIN_TEXT_WIDTH;
  return entries.map(([name, text]) => {
    const lines = wrapWords(text, width, " ".repeat(isNarrow ? TAB.length : column));
    return isNarrow ? `  ${name}\n${lines.join("\n")}` : `  ${name}`.padEnd(column) + lines.join("\n").slice(column);
  }).join("\n");
}
