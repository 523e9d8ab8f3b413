/** The manual of the command line, from the command table: what help says, as Markdown. */
import {
  type Command,
  COMMAND_GROUPS,
  type CommandTable,
  findVariable,
  getCommandName,
  getExitCodes,
  GLOBAL_FLAGS,
} from "../../cli/framework/command.ts";
import { type FlagSet, groupFlags } from "../../cli/framework/flags.ts";
import { describeRule } from "../../cli/framework/rules.ts";
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
    "Programs that keep running (`up`, `serve`, `signer`, `approver`, `bootstrap`, `ui`) read a variable for each flag " +
    "that has one below. Other commands read only the variables that say where the server is: `TLSBOOT_DATA_DIR`, " +
    "`TLSBOOT_KUBECONFIG`, `TLSBOOT_SERVER`, `TLSBOOT_CONTEXT` and `TLSBOOT_CA_CERT_HASH`. A command that signs, writes " +
    "keys or restores refuses to run while a variable of another command or flag is set (exit code 2); the rest warn.",
    "## Flags of every command",
    flagTable(GLOBAL_FLAGS, { environment: "daemon" }),
    ...groups,
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

function commandSection(table: CommandTable, command: Command): string {
  const examples = command.examples.map(({ comment, command: line }) => `# ${comment}\n${line}`).join("\n\n");
  const args = command.args.map(({ name, summary }) => `- \`${name}\`: ${summary}`).join("\n");
  const rules = (command.rules ?? []).map((rule) => `- ${describeRule(rule)}.`).join("\n");
  const codes = getExitCodes(command).map(([code, meaning]) => `${code} ${meaning}`).join(" · ");
  const parts = [
    `### ${getCommandName(table, command)}`,
    paragraphs(command.description),
    `\`\`\`\n${usageLine(table, command)}\n\`\`\``,
    args,
    flagTable(command.flags, command),
    rules,
    examples === "" ? "" : `\`\`\`sh\n${examples}\n\`\`\``,
    `Exit codes: ${codes}`,
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function flagTable(flags: FlagSet, command: Pick<Command, "environment">): string {
  return groupFlags(flags).map(({ group, entries }) => {
    const rows = entries.map(([key, flag]) =>
      `| \`${cell(flagHeading(key, flag))}\` | ${origin(findVariable(command, key, flag))} | ${cell(flagText(flag))} |`
    );
    const table = ["| flag and default | environment | |", "|---|---|---|", ...rows].join("\n");
    return group === undefined ? table : `${group} options:\n\n${table}`;
  }).join("\n\n");
}

function origin(variable: string | undefined): string {
  return variable === undefined ? "" : `\`${variable}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** Help indents what follows the first line; Markdown would take that for code in places. */
function paragraphs(text: string): string {
  return text.split("\n").map((line) => line.replace(/^ /, "")).join("\n");
}
