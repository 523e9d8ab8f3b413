/**
 * Prints what the program carries: the guides of `docs/guides`, the files of `packaging/mixin`, and the manual pages.
 */
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Action, CommandTable, Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { GUIDE_GROUPS, type guideCommand, type manCommand, MIXIN_NAMES, type mixinCommand } from "./flags.ts";
import { GUIDES } from "./guide_texts.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import { MIXIN } from "./mixin_texts.ts";
import { join, resolve } from "node:path";
import { BUILD, TLSBOOT_VERSION, UNKNOWN_BUILD } from "../../../core/version.ts";
import { getTopicPath, type HelpTopic } from "../../framework/help.ts";
import { type ManEdition, manName, manTopics, renderMan } from "../../framework/man.ts";
import { PUBLIC_MODE } from "../../../instance/data_dir.ts";

export const printGuideAction: Action<typeof guideCommand.flags> = { run: runPrintGuide };

function runPrintGuide({ args: [name] }: Input<typeof guideCommand.flags>, tools: Tools): Promise<ExitCode> {
  tools.stdout.write(name === undefined ? formatGroups() : findGuides(name));
  return Promise.resolve(EXIT.done);
}

/** Formats all guides by group. */
function formatGroups(): string {
  const groups = Object.entries(GUIDE_GROUPS).map(([title, names]) => formatGroup(title, names));
  return `${
    groups.join("\n")
  }\ntlsboot guide NAME prints a guide, and tlsboot guide WORD finds the guides with a word.\n`;
}

const NAME_WIDTH = Math.max(...Object.keys(GUIDES).map((name) => name.length)) + 2;

function formatGroup(title: string, names: readonly string[]): string {
  const rows = names.map((name) => `  ${name.padEnd(NAME_WIDTH)}${findTitle(GUIDES[name] ?? "")}\n`);
  return `${title}:\n${rows.join("")}`;
}

function findTitle(page: string): string {
  return /^# (.*)$/m.exec(page)?.[1] ?? "";
}

/** Prints the guide of a name, which may also be typed with hyphens, or lists the guides in which the word is. */
function findGuides(name: string): string {
  const key = name.replaceAll("-", "_").replace(/\.md$/, "");
  const found = Object.hasOwn(GUIDES, key) ? [] : searchGuides(name);
  if (found.length > 0) return formatGroup(`Guides with "${name}"`, found);
  return formatGuide(findText({ texts: GUIDES, what: "guide", list: "tlsboot guide" }, key, name));
}

/** A word in more guides than these says little about any of them. */
const MAX_FOUND = 8;

/** Returns the guides with words that begin with `word`: those with it in the title first, then by how often it is there. */
function searchGuides(word: string): readonly string[] {
  if (!/^\p{L}[\p{L}\d_-]+$/u.test(word)) return [];
  const pattern = new RegExp(`(?<![\\p{L}\\d])${word}`, "giu");
  const count = (text: string): number => text.match(pattern)?.length ?? 0;
  return Object.entries(GUIDES)
    .map(([name, page]) => ({ name, count: count(page) + 1_000 * count(findTitle(page)) }))
    .filter((guide) => guide.count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, MAX_FOUND)
    .map(({ name }) => name);
}

/** Formats a page for the terminal: without comments and pictures, and with links as what can be read here. */
function formatGuide(page: string): string {
  return page
    .replace(/^ *<!--[^<]*?-->\n\n?/gm, "")
    .replace(/^!\[[^[\]]*\]\([^()\s]+\)\n\n?/gm, "")
    .replace(/\[([^[\]]+)\]\(([^()\s]+)\)/g, (_, label: string, target: string) => formatLink(label, target));
}

/** Formats a link: to a guide as the command that prints it, to the flags as --help, to another page as its path. */
function formatLink(label: string, target: string): string {
  const [path = ""] = target.split("#");
  const name = path.replace(/\.md$/, "");
  if (Object.hasOwn(GUIDES, name)) {
    return label === path ? `\`tlsboot guide ${name}\`` : `${label} (\`tlsboot guide ${name}\`)`;
  }
  if (path === "" || /^[a-z]+:/.test(path)) return label;
  if (path === "../reference/cli.md") return "`tlsboot COMMAND --help`";
  const source = path.startsWith("../../") ? path.slice("../../".length) : path.replace(/^(?:\.\.\/)+/, "docs/");
  const isPath = source.replace(/\/$/, "").endsWith(label.replace(/\/$/, ""));
  return isPath ? `${source} of the sources` : `${label} (${source} of the sources)`;
}

/** The texts of a command, and how its messages name them. */
interface Texts {
  readonly texts: Readonly<Record<string, string>>;
  readonly what: string;
  readonly list: string;
}

/** Returns the text of a key. Throws UsageError with the nearest name when there is none; `name` is what was typed. */
function findText({ texts, what, list }: Texts, key: string, name: string = key): string {
  const text = Object.hasOwn(texts, key) ? texts[key] : undefined;
  if (text !== undefined) return text;
  const nearest = findNearest(name, Object.keys(texts));
  throw new UsageError(
    `no ${what} is named "${name}"`,
    nearest === undefined ? `list them with: ${list}` : `did you mean ${nearest}?`,
  );
}

export const printMixinAction: Action<typeof mixinCommand.flags> = { run: runPrintMixin };

const MIXIN_TEXTS = { texts: MIXIN, what: "file of the mixin", list: "tlsboot mixin" };

function runPrintMixin({ args: [name] }: Input<typeof mixinCommand.flags>, tools: Tools): Promise<ExitCode> {
  tools.stdout.write(name === undefined ? `${MIXIN_NAMES.join("\n")}\n` : findText(MIXIN_TEXTS, name));
  return Promise.resolve(EXIT.done);
}

export const printManAction: Action<typeof manCommand.flags> = { run: runPrintMan };

/** The folder of the manual pages is readable by all users, as they are. */
const DIRECTORY_MODE = 0o755;

async function runPrintMan({ args, table }: Input<typeof manCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const topics = manTopics(table);
  const topic = topics.find((item) => isNamed(item, args.join(" "), table));
  if (topic !== undefined) {
    tools.stdout.write(renderMan(table, topic, edition()));
    return EXIT.done;
  }
  const [directory = ""] = args;
  const path = resolve(tools.cwd, directory);
  if (args.length > 1 || !(/[/\\]/.test(directory) || (await files.stat(path))?.kind === "directory")) {
    throw unknownCommand(args.join(" "), topics);
  }
  await files.makeDirectory(path, DIRECTORY_MODE);
  for (const item of topics) {
    const page = join(path, `${manName(table, item)}.1`);
    await files.writeAtomic(page, renderMan(table, item, edition()), PUBLIC_MODE);
  }
  tools.stderr.write(`${topics.length} pages are in ${directory}\n`);
  return EXIT.done;
}

/** True when a text is the words of a command or the name of its page. */
function isNamed(topic: HelpTopic, text: string, table: CommandTable): boolean {
  return text === getTopicPath(topic).join(" ") || text === manName(table, topic);
}

/** The edition of the pages: the version and the commit date of this program. */
function edition(): ManEdition {
  return { version: TLSBOOT_VERSION, date: BUILD.date === UNKNOWN_BUILD.date ? "" : BUILD.date.slice(0, 10) };
}

function unknownCommand(text: string, topics: readonly HelpTopic[]): UsageError {
  const nearest = findNearest(text, topics.map((topic) => getTopicPath(topic).join(" ")));
  const hint = "give the words of a command, or a folder as a path with a slash";
  return new UsageError(
    `no command and no folder is named "${text}"`,
    nearest === undefined || nearest === "" ? hint : `did you mean ${nearest}? ${hint}`,
  );
}
