/** The manual of the command line, from the command table: what help says, as Markdown. */
import {
  type Command,
  COMMAND_GROUPS,
  type CommandTable,
  getCommandName,
  getExitCodes,
  GLOBAL_FLAGS,
} from "../../cli/framework/command.ts";
import { environmentName, type Flag, type FlagSet, groupFlags } from "../../cli/framework/flags.ts";
import { flagHeading, flagText, usageLine } from "../../cli/framework/help.ts";

/** Renders the whole page `docs/reference/cli.md` from the command table. */
export function renderManual(table: CommandTable): string {
  const groups = COMMAND_GROUPS.map((group) => {
    const commands = table.commands.filter((command) => command.group === group);
    return commands.length === 0
      ? ""
      : [`## ${group}`, ...commands.map((command) => commandSection(table, command))].join("\n\n");
  });
  const sections = [
    "<!-- Made by scripts/docs/cli.ts from the command table; do not edit. -->",
    `# ${table.program} on the command line`,
    paragraphs(table.description),
    "Answers go to stdout, everything else to stderr. A flag on the command line counts more than its `TLSBOOT_` " +
    "variable, the variable more than the `--config` file, the file more than the default.",
    "## Flags of every command",
    flagTable(GLOBAL_FLAGS),
    ...groups,
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

function commandSection(table: CommandTable, command: Command): string {
  const examples = command.examples.map(({ comment, command: line }) => `# ${comment}\n${line}`).join("\n\n");
  const args = command.args.map(({ name, summary }) => `- \`${name}\`: ${summary}`).join("\n");
  const codes = getExitCodes(command).map(([code, meaning]) => `${code} ${meaning}`).join(" · ");
  const parts = [
    `### ${getCommandName(table, command)}`,
    paragraphs(command.description),
    `\`\`\`\n${usageLine(table, command)}\n\`\`\``,
    args,
    flagTable(command.flags),
    examples === "" ? "" : `\`\`\`sh\n${examples}\n\`\`\``,
    `Exit codes: ${codes}`,
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function flagTable(flags: FlagSet): string {
  return groupFlags(flags).map(({ group, entries }) => {
    const rows = entries.map(([key, flag]) =>
      `| \`${cell(flagHeading(key, flag))}\` | ${origin(key, flag)} | ${cell(flagText(flag))} |`
    );
    const table = ["| flag and default | environment | |", "|---|---|---|", ...rows].join("\n");
    return group === undefined ? table : `${group} options:\n\n${table}`;
  }).join("\n\n");
}

function origin(key: string, flag: Flag<unknown>): string {
  return flag.isCommandLineOnly ? "" : `\`${environmentName(key)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** Help indents what follows the first line; Markdown would take that for code in places. */
function paragraphs(text: string): string {
  return text.split("\n").map((line) => line.replace(/^ /, "")).join("\n");
}
