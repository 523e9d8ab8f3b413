/** Help texts, laid out and grouped like kubectl's. */
import {
  type Argument,
  type Command,
  COMMAND_GROUPS,
  type CommandFamily,
  type CommandTable,
  findSubcommands,
  getCommandName,
  getExitCodes,
  GLOBAL_FLAGS,
} from "./command.ts";
import { environmentName, type Flag, flagName, type FlagSet } from "./flags.ts";

/** The subject of a help text or a manual page. */
export type HelpTopic =
  | { readonly kind: "program" }
  | { readonly kind: "family"; readonly family: CommandFamily }
  | { readonly kind: "command"; readonly command: Command };

/** Returns the words of the command or family that a topic is about; none for the program. */
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

/** Renders the help text, with a line break at its end. */
export function renderHelp(table: CommandTable, topic: HelpTopic): string {
  const sections = topic.kind === "command"
    ? commandSections(table, topic.command)
    : topic.kind === "family"
    ? familySections(table, topic.family)
    : programSections(table);
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** Formats the usage of a command, as in the Usage section and the manual: `tlsboot token create [flags]`. */
export function usageLine(table: CommandTable, command: Command): string {
  return [getCommandName(table, command), ...usageWords(command)].join(" ");
}

/** Returns the words that follow the name of a command in its usage: `NAME... [flags]`. */
export function usageWords(command: Command): readonly string[] {
  return [...command.args.map(argumentText), "[flags]"];
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

function programSections(table: CommandTable): string[] {
  const groups = COMMAND_GROUPS.map((group) => {
    const entries = table.commands
      .filter((command) => command.group === group)
      .map(({ path, summary }) => [path.join(" "), summary] as const);
    return entries.length === 0 ? "" : `${group}:\n${list(entries)}`;
  });
  return [
    table.description,
    ...groups,
    globalFlags(),
    `Usage:\n  ${table.program} COMMAND [flags]`,
    `Settings can also be given as TLSBOOT_<FLAG> in the environment (--data-dir: ${
      environmentName("dataDir")
    }) or in ` +
    `the --config file, in this order; docs/reference/cli.md says which flags.\nUse "${table.program} COMMAND --help" for more about a command.`,
  ];
}

function familySections(table: CommandTable, family: CommandFamily): string[] {
  return [
    family.description,
    subcommandsSection(table, family.word),
    `Usage:\n  ${table.program} ${family.word} COMMAND [flags]`,
    `Use "${table.program} ${family.word} COMMAND --help" for more about a command.`,
  ];
}

function subcommandsSection(table: CommandTable, word: string): string {
  const commands = findSubcommands(table, word);
  if (commands.length === 0) return "";
  return `Available Commands:\n${list(commands.map(({ path, summary }) => [path.slice(1).join(" "), summary]))}`;
}

function commandSections(table: CommandTable, command: Command): string[] {
  const examples = command.examples.map(({ comment, command: line }) => `  # ${comment}\n  ${line}`);
  const args = command.args.map((argument) => [argumentText(argument), argument.summary] as const);
  return [
    command.description,
    command.path.length === 1 ? subcommandsSection(table, command.path[0] ?? "") : "",
    examples.length === 0 ? "" : `Examples:\n${examples.join("\n\n")}`,
    args.length === 0 ? "" : `Arguments:\n${list(args)}`,
    flagsSection("Options", command.flags),
    globalFlags(),
    `Exit Codes:\n${list(getExitCodes(command).map(([code, meaning]) => [String(code), meaning]))}`,
    `Usage:\n  ${usageLine(table, command)}`,
  ];
}

function globalFlags(): string {
  const help = `    -h, --help=false:\n\tShow this help.`;
  return `${flagsSection("Global Options", GLOBAL_FLAGS)}\n\n${help}`;
}

function flagsSection(title: string, flags: FlagSet): string {
  const entries = Object.entries(flags).sort(([a], [b]) => flagName(a) < flagName(b) ? -1 : 1);
  if (entries.length === 0) return "";
  const blocks = entries.map(([key, flag]) => `    ${flagHeading(key, flag)}:\n\t${flagText(flag)}`);
  return `${title}:\n${blocks.join("\n\n")}`;
}

function list(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length)) + 2;
  return entries.map(([name, text]) => `  ${name.padEnd(Math.max(width, 16))}${text}`).join("\n");
}

/** Formats an argument in kubectl's form: `[NAME...]`, `FILE`. */
export function argumentText(argument: Argument): string {
  const name = argument.isVariadic ? `${argument.name}...` : argument.name;
  return argument.isRequired ? name : `[${name}]`;
}
