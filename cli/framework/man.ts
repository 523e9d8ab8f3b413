/**
 * Renders manual pages from the command table, with the content of help, in the macros of man(7). Text is escaped so that
 * no character is read as a command (groff_man(7), mandoc_char(7)).
 */
import {
  type Command,
  COMMAND_GROUPS,
  type CommandFamily,
  type CommandTable,
  findSubcommands,
  findVariable,
  getCommandName,
  getExitCodes,
  GLOBAL_FLAGS,
} from "./command.ts";
import { type Flag, flagName, type FlagSet, groupFlags } from "./flags.ts";
import { describeVariables, flagText, getTopicPath, type HelpTopic, splitText, usageWords } from "./help.ts";
import { describeRule } from "./rules.ts";
import { type BuildCommit, TLSBOOT_VERSION, UNKNOWN_BUILD } from "../../core/version.ts";

/** The version and the date at the foot of each page. */
interface ManEdition {
  readonly version: string;
  /** `2026-01-31`; empty when it is unknown. */
  readonly date: string;
}

/** Returns the edition of the pages of a build: its version, and the date of its commit. */
export function createEdition({ date }: BuildCommit): ManEdition {
  return { version: TLSBOOT_VERSION, date: date === UNKNOWN_BUILD.date ? "" : date.slice(0, 10) };
}

/** Lists everything that has a page: the program, its families of commands, and its commands. */
export function manTopics(table: CommandTable): readonly HelpTopic[] {
  // A word that is a command and also groups commands has only the command's page.
  const words = new Set(table.commands.filter(({ path }) => path.length === 1).map(({ path }) => path[0]));
  return [
    { kind: "program" },
    ...table.families.filter(({ word }) => !words.has(word)).map((family) => ({ kind: "family", family }) as const),
    ...table.commands.map((command) => ({ kind: "command", command }) as const),
  ];
}

/** Returns the name of a page: `tlsboot-token-create`. Its file has the suffix `.1`. */
export function manName(table: CommandTable, topic: HelpTopic): string {
  return [table.program, ...getTopicPath(topic)].join("-");
}

/** Renders the source of a page for `man -l`, groff or mandoc. */
export function renderMan(table: CommandTable, topic: HelpTopic, edition: ManEdition): string {
  const name = manName(table, topic);
  const [title, source] = [macroWord(name.toUpperCase()), macroWord(`${table.program} ${edition.version}`)];
  const body = topic.kind === "command"
    ? commandBody(table, topic.command)
    : topic.kind === "family"
    ? familyBody(table, topic.family)
    : programBody(table);
  const lines = [
    `.\\" Made by ${table.program} man from its command table.`,
    // mandoc parses the date, which must not have escapes.
    `.TH ${title} "1" "${edition.date}" ${source} "tlsboot Manual"`,
    // Names and variables must not be hyphenated, nor lines justified.
    ".nh",
    ".ad l",
    ".SH NAME",
    `${roffText(name)} \\- ${roffText(getSummary(table, topic))}`,
    ...body,
    ...seeAlso(table, topic),
  ];
  // A heading begins a paragraph by itself.
  const needed = lines.filter((line, index) => line !== ".PP" || !/^\.S[HS] /.test(lines[index - 1] ?? ""));
  return `${needed.join("\n")}\n`;
}

function programBody(table: CommandTable): readonly string[] {
  const groups = COMMAND_GROUPS.flatMap((group) => {
    const topics = manTopics(table).filter((topic) =>
      topic.kind === "command"
        ? topic.command.group === group && topic.command.path.length === 1
        : topic.kind === "family" && topic.family.group === group
    );
    const order = table.commands.map(({ path }) => path[0]);
    const sorted = [...topics].sort((a, b) => order.indexOf(getTopicPath(a)[0]) - order.indexOf(getTopicPath(b)[0]));
    return sorted.length === 0 ? [] : [`.SS ${macroWord(group)}`, ...sorted.flatMap((topic) => entry(table, topic))];
  });
  return [
    ".SH SYNOPSIS",
    `${code(table.program)} \\fICOMMAND\\fR [\\fIflags\\fR]`,
    ".SH DESCRIPTION",
    ...description(table.description),
    ".SH COMMANDS",
    ...groups,
    ...options("OPTIONS", GLOBAL_FLAGS, { environment: "daemon" }),
    ".SH ENVIRONMENT",
    ...paragraph(`${describeVariables(table)} The page of each command lists the variables that it reads.`),
    ".TP",
    code("NO_COLOR"),
    roffText("Turns off colours if it is set to any value. Without a terminal there are no colours."),
    ".TP",
    `${code("HTTPS_PROXY")}, ${code("NO_PROXY")}`,
    roffText(
      "The proxy through which servers are reached, and the servers that need none, by the rules of kubectl and kubelet: " +
        "localhost and loopback addresses never need one. proxy-url in a kubeconfig takes precedence.",
    ),
  ];
}

function familyBody(table: CommandTable, family: CommandFamily): readonly string[] {
  return [
    ".SH SYNOPSIS",
    `${code(`${table.program} ${family.word}`)} \\fICOMMAND\\fR [\\fIflags\\fR]`,
    ".SH DESCRIPTION",
    ...description(family.description ?? `${family.summary}.`),
    ".SH COMMANDS",
    ...findSubcommands(table, family.word).flatMap((command) => entry(table, { kind: "command", command })),
  ];
}

function commandBody(table: CommandTable, command: Command): readonly string[] {
  const { rules = [] } = command;
  const subcommands = command.path.length === 1 ? findSubcommands(table, command.path[0] ?? "") : [];
  const words = usageWords(command).map((word) => `\\fI${roffText(word)}\\fR`);
  return [
    ".SH SYNOPSIS",
    [code(getCommandName(table, command)), ...words].join(" "),
    ".SH DESCRIPTION",
    ...description(command.description),
    ...(subcommands.length === 0 ? [] : [
      ".SH COMMANDS",
      ...subcommands.flatMap((item) => entry(table, { kind: "command", command: item })),
    ]),
    ...(command.args.length === 0 ? [] : [
      ".SH ARGUMENTS",
      ...command.args.flatMap(({ text, summary }) => [".TP", `\\fI${roffText(text)}\\fR`, roffText(summary)]),
    ]),
    ...options("OPTIONS", { ...command.flags, ...GLOBAL_FLAGS }, command),
    ...(rules.length === 0 ? [] : [".SH RULES", ...rules.flatMap((rule) => paragraph(`${describeRule(rule)}.`))]),
    ".SH EXIT STATUS",
    ...getExitCodes(command).flatMap(([number, meaning]) => [".TP", code(String(number)), roffText(meaning)]),
    ".SH EXAMPLES",
    ...Object.entries(command.examples)
      .flatMap(([comment, line]) => [...paragraph(`${comment}:`), ...preformatted(line)]),
  ];
}

function entry(table: CommandTable, topic: HelpTopic): readonly string[] {
  return [".TP", `${code(manName(table, topic))}(1)`, roffText(getSummary(table, topic))];
}

function options(title: string, flags: FlagSet, command: Pick<Command, "environment">): readonly string[] {
  const groups = groupFlags(flags);
  return groups.length === 0 ? [] : [
    `.SH ${macroWord(title)}`,
    ...groups.flatMap(({ group, entries }) => [
      ...(group === undefined ? [] : [`.SS ${macroWord(`${group} Options`)}`]),
      ...entries.flatMap(([key, flag]) => option(key, flag, findVariable(command, key, flag))),
    ]),
  ];
}

function option(key: string, flag: Flag<unknown>, variable: string | undefined): readonly string[] {
  const names = [...(flag.short === undefined ? [] : [code(`-${flag.short}`)]), code(`--${flagName(key)}`)].join(", ");
  const value = flag.placeholder === undefined ? "" : ` \\fI${roffText(flag.placeholder)}\\fR`;
  const origin = variable === undefined ? "" : ` Environment: ${variable}.`;
  // An empty default is not shown.
  const initial = ["''", "[]", "false"].includes(flag.defaultText) ? "" : ` Default: ${flag.defaultText}.`;
  return [".TP", `${names}${value}`, roffText(`${flagText(flag)}${initial}${origin}`)];
}

function description(text: string): readonly string[] {
  return splitText(text).flatMap((block) =>
    block.isFixed ? preformatted(block.text.replace(/^ +/gm, "")) : paragraph(block.text)
  );
}

function seeAlso(table: CommandTable, topic: HelpTopic): readonly string[] {
  if (topic.kind === "program") return [];
  const above = { kind: "program" } as const;
  const path = getTopicPath(topic);
  const siblings = topic.kind === "command" && path.length > 1
    ? findSubcommands(table, path[0] ?? "").filter((command) => command !== topic.command)
    : [];
  const topics = [above, ...siblings.map((command) => ({ kind: "command", command }) as const)];
  return [".SH SEE ALSO", topics.map((item) => `${code(manName(table, item))}(1)`).join(",\n")];
}

function getSummary(table: CommandTable, topic: HelpTopic): string {
  switch (topic.kind) {
    case "program":
      return (table.description.split("\n")[0] ?? "").replace(/^tlsboot does /, "").replace(/\.$/, "");
    case "family":
      return topic.family.summary;
    case "command":
      return topic.command.summary;
  }
}

/** Quotes an argument of a macro. */
function macroWord(text: string): string {
  return `"${roffText(text)}"`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  '"': "\\(dq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** Escapes a line of text, even if it looks like a command. */
export function roffText(text: string): string {
  return text.replace(/[\\\-'"`^~]|[^\x20-\x7e]/gu, (char) => ESCAPES[char] ?? unicode(char)).replace(/^\./, "\\&.");
}

/** Formats literal text, such as a command, in bold. */
function code(text: string): string {
  return `\\fB${roffText(text)}\\fR`;
}

/** Formats a text as a paragraph. */
function paragraph(text: string): readonly string[] {
  return [".PP", roffText(text)];
}

/** Formats an indented block that keeps its line breaks. */
export function preformatted(text: string): readonly string[] {
  return [".PP", ".RS 4", ".nf", ...text.split("\n").map((line) => code(line)), ".fi", ".RE"];
}

/** Escapes a character as its code point. Control characters become blanks. */
function unicode(char: string): string {
  const point = char.codePointAt(0) ?? 0;
  if (point < 0x20 || point === 0x7f) return " ";
  return `\\[u${point.toString(16).toUpperCase().padStart(4, "0")}]`;
}
