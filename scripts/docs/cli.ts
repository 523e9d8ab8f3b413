/**
 * `deno task docs`: writes `docs/reference/cli.md` from the command table, the parts of README and SECURITY that
 * `pages.ts` renders, and modules with the guides, the mixin and the service, so that the single file contains them.
 * Tests fail if they are out of date.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { mustRun, runScript } from "../processes.ts";
import { writePages } from "./pages.ts";
import {
  type Command,
  COMMAND_GROUPS,
  type CommandTable,
  findVariable,
  getCommandName,
  getExitCodes,
} from "../../cli/framework/command.ts";
import { FLAG_GROUPS, flagName, type GroupedFlags, groupFlags } from "../../cli/framework/flags.ts";
import { describeRule } from "../../cli/framework/rules.ts";
import { describeVariables, flagHeading, flagText, groupSharedFlags, usageLine } from "../../cli/framework/help.ts";

const MODULES = "cli/commands/docs";

async function main(): Promise<void> {
  await mkdir("docs/reference", { recursive: true });
  await writeFile("docs/reference/cli.md", renderManual(COMMAND_TABLE));
  const root = process.cwd();
  await writePages(root);
  const modules = {
    [`${MODULES}/guide_texts.ts`]: renderTexts("GUIDES", "docs/guides", await readGuides(root)),
    ["cli/commands/up/service_texts.ts"]: renderTexts("SERVICE", "packaging/systemd", await readService(root)),
    [`${MODULES}/mixin_texts.ts`]: renderTexts("MIXIN", "packaging/mixin", await readMixin(root)),
  };
  for (const [path, text] of Object.entries(modules)) await writeFile(path, text);
  await mustRun(process.execPath, ["fmt", "--quiet", ...Object.keys(modules)]);
}

/** Reads the texts of a folder by their names, in the order of the names. */
async function readTexts(folder: string): Promise<readonly (readonly [name: string, text: string])[]> {
  const files = (await readdir(folder)).sort();
  return await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file), "utf8")] as const));
}

/** Reads every guide, by its name without `.md`. */
export async function readGuides(root: string): Promise<Readonly<Record<string, string>>> {
  const files = await readTexts(join(root, "docs", "guides"));
  return Object.fromEntries(files.map(([name, text]) => [name.replace(/\.md$/, ""), text]));
}

/** Reads the files of the mixin: the sources and the rendered files. */
export async function readMixin(root: string): Promise<Readonly<Record<string, string>>> {
  return Object.fromEntries(await readTexts(join(root, "packaging", "mixin")));
}

/** Reads the files of the service of `tlsboot up`, which are those of the packages. */
export async function readService(root: string): Promise<Readonly<Record<string, string>>> {
  const texts = await readTexts(join(root, "packaging", "systemd"));
  return Object.fromEntries(texts.filter(([name]) => ["sysusers.conf", "tlsboot.service", "up.yaml"].includes(name)));
}

/** Renders a module with the texts of a folder. */
function renderTexts(constant: string, folder: string, texts: Readonly<Record<string, string>>): string {
  return `/** The texts of ${folder}; made by scripts/docs/cli.ts, do not edit. */

/** Each text by its name. */
export const ${constant}: Readonly<Record<string, string>> = ${JSON.stringify(texts)};
`;
}

/** Renders the whole page `docs/reference/cli.md` from the command table. */
export function renderManual(table: CommandTable): string {
  const shared = groupSharedFlags(table);
  const groups = COMMAND_GROUPS.map((group) => {
    const commands = table.commands.filter((command) => command.group === group);
    return commands.length === 0
      ? ""
      : [`## ${group}`, ...commands.map((command) => commandSection(table, command, shared))].join("\n\n");
  });
  const sections = [
    "<!-- Made by scripts/docs/cli.ts from the command table; do not edit. -->",
    `# ${table.program} on the command line`,
    paragraphs(table.description),
    "Answers go to stdout, everything else to stderr. " +
    describeVariables(table).replaceAll(/TLSBOOT_[A-Z_]*|--[a-z]+/g, "`$&`"),
    "## Options of several commands",
    "Each command below lists the groups that it takes. If it takes only part of a group, that part is in parentheses. " +
    "Only programs that keep running read all of the variables.",
    ...shared.map(groupSection),
    ...groups,
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

function groupSection({ group, entries }: GroupedFlags): string {
  if (group === undefined) return "";
  return [`### ${group} options`, FLAG_GROUPS[group], flagTable(entries, { environment: "daemon" })].join("\n\n");
}

function commandSection(table: CommandTable, command: Command, shared: readonly GroupedFlags[]): string {
  const groups = groupFlags(command.flags);
  const examples = Object.entries(command.examples).map((lines) => `# ${lines.join("\n")}`).join("\n\n");
  const args = command.args.map(({ name, summary }) => `- \`${name}\`: ${summary}`).join("\n");
  const rules = (command.rules ?? []).map((rule) => `- ${describeRule(rule)}.`).join("\n");
  const codes = getExitCodes(command).map(([code, meaning]) => `${code} ${meaning}`).join(" · ");
  const parts = [
    `### ${getCommandName(table, command)}`,
    paragraphs(command.description),
    `\`\`\`\n${usageLine(table, command)}\n\`\`\``,
    args,
    ...groups.filter(({ group }) => group === undefined).map(({ entries }) => flagTable(entries, command)),
    sharedLine(groups, shared),
    rules,
    examples === "" ? "" : `\`\`\`sh\n${examples}\n\`\`\``,
    `Exit codes: ${codes}`,
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Lists the groups of shared options that a command takes, with the options of a group that it takes in part. */
function sharedLine(groups: readonly GroupedFlags[], shared: readonly GroupedFlags[]): string {
  const links = groups.filter(({ group }) => group !== undefined).map(({ group, entries }) => {
    const link = `[${group}](#${group?.toLowerCase().replaceAll(" ", "-")}-options)`;
    const isWhole = shared.some((whole) => whole.group === group && whole.entries.length === entries.length);
    return isWhole ? link : `${link} (${entries.map(([key]) => `\`--${flagName(key)}\``).join(", ")})`;
  });
  return links.length === 0 ? "" : `Shared options: ${links.join(", ")}.`;
}

function flagTable(entries: GroupedFlags["entries"], command: Pick<Command, "environment">): string {
  const rows = entries.map(([key, flag]) =>
    `| \`${cell(flagHeading(key, flag))}\` | ${origin(findVariable(command, key, flag))} | ${cell(flagText(flag))} |`
  );
  return ["| flag and default | environment | |", "|---|---|---|", ...rows].join("\n");
}

function origin(variable: string | undefined): string {
  return variable === undefined ? "" : `\`${variable}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** Removes the indentation of help texts, which Markdown could read as code. */
function paragraphs(text: string): string {
  return text.split("\n").map((line) => line.replace(/^ /, "")).join("\n");
}

runScript(import.meta, main);
