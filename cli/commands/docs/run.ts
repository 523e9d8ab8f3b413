/** Prints guides, manual pages, and the files of the mixin. The texts are loaded by the command that prints them. */
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { CommandTable, Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { GUIDE_GROUPS, type guideCommand, type manCommand, MIXIN_NAMES, type mixinCommand } from "./flags.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import { join, resolve } from "node:path";
import { BUILD } from "../../../core/version.ts";
import { getTopicPath, type HelpTopic } from "../../framework/help.ts";
import { createEdition, manName, manTopics, renderMan } from "../../framework/man.ts";
import { PUBLIC_MODE } from "../../../client/files.ts";

/** The texts of pages, by their names. */
type Texts = Readonly<Record<string, string>>;

export async function runPrintGuide(
  { args: [name] }: Input<typeof guideCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { GUIDES } = await import("./guide_texts.ts");
  tools.stdout.write(name === undefined ? formatGroups(GUIDES) : findGuides(name, GUIDES));
  return EXIT.done;
}

/** Formats all guides by group. */
function formatGroups(guides: Texts): string {
  const groups = Object.entries(GUIDE_GROUPS).map(([title, names]) => formatGroup(title, names, guides));
  return `${
    groups.join("\n")
  }\ntlsboot guide NAME prints a guide, and tlsboot guide WORD finds the guides with a word.\n`;
}

const GUIDE_NAMES: readonly string[] = Object.values(GUIDE_GROUPS).flat();
const NAME_WIDTH = Math.max(...GUIDE_NAMES.map((name) => name.length)) + 2;

function formatGroup(title: string, names: readonly string[], guides: Texts): string {
  const rows = names.map((name) => `  ${name.padEnd(NAME_WIDTH)}${findTitle(guides[name] ?? "")}\n`);
  return `${title}:\n${rows.join("")}`;
}

function findTitle(page: string): string {
  return /^# (.*)$/m.exec(page)?.[1] ?? "";
}

/** Formats the guide with a name, which may be typed with hyphens, or a list of the guides that contain it as a word. */
function findGuides(name: string, guides: Texts): string {
  const key = name.replaceAll("-", "_").replace(/\.md$/, "");
  const found = GUIDE_NAMES.includes(key) ? [] : searchGuides(name, guides);
  if (found.length > 0) return formatGroup(`Guides with "${name}"`, found, guides);
  return formatGuide(findText(guides, { what: "guide", list: "tlsboot guide" }, key, name));
}

/** The largest number of guides that a search lists. */
const MAX_FOUND = 8;

/** Finds guides with words that begin with `word`: first those with it in the title, then by its number of occurrences. */
function searchGuides(word: string, guides: Texts): readonly string[] {
  if (!/^\p{L}[\p{L}\d_-]+$/u.test(word)) return [];
  const pattern = new RegExp(`(?<![\\p{L}\\d])${word}`, "giu");
  const count = (text: string): number => text.match(pattern)?.length ?? 0;
  return Object.entries(guides)
    .map(([name, page]) => ({ name, count: count(page) + 1_000 * count(findTitle(page)) }))
    .filter((guide) => guide.count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, MAX_FOUND)
    .map(({ name }) => name);
}

/** Formats a page for the terminal, without comments and pictures. */
function formatGuide(page: string): string {
  return page
    .replace(/^ *<!--[^<]*?-->\n\n?/gm, "")
    .replace(/^!\[[^[\]]*\]\([^()\s]+\)\n\n?/gm, "")
    .replace(/\[([^[\]]+)\]\(([^()\s]+)\)/g, (_, label: string, target: string) => formatLink(label, target));
}

/** Formats a link to a guide as the command that prints it, a link to the flags as --help, and any other as its path. */
function formatLink(label: string, target: string): string {
  const [path = ""] = target.split("#");
  const name = path.replace(/\.md$/, "");
  if (GUIDE_NAMES.includes(name)) {
    return label === path ? `\`tlsboot guide ${name}\`` : `${label} (\`tlsboot guide ${name}\`)`;
  }
  if (path === "" || /^[a-z]+:/.test(path)) return label;
  if (path === "../reference/cli.md") return "`tlsboot COMMAND --help`";
  const source = path.startsWith("../../") ? path.slice("../../".length) : path.replace(/^(?:\.\.\/)+/, "docs/");
  const isPath = source.replace(/\/$/, "").endsWith(label.replace(/\/$/, ""));
  return isPath ? `${source} of the sources` : `${label} (${source} of the sources)`;
}

/**
 * Returns the text with a key. Throws UsageError with the nearest name when there is none; `name` is what the user typed,
 * `what` is the kind of the texts, and `list` is the command that lists them.
 */
function findText(
  texts: Texts,
  { what, list }: { readonly what: string; readonly list: string },
  key: string,
  name: string = key,
): string {
  const text = Object.hasOwn(texts, key) ? texts[key] : undefined;
  if (text !== undefined) return text;
  const nearest = findNearest(name, Object.keys(texts));
  throw new UsageError(
    `no ${what} is named "${name}"`,
    nearest === undefined ? `list them with: ${list}` : `did you mean ${nearest}?`,
  );
}

export async function runPrintMixin(
  { args: [name] }: Input<typeof mixinCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { MIXIN } = await import("./mixin_texts.ts");
  const words = { what: "file of the mixin", list: "tlsboot mixin" };
  tools.stdout.write(name === undefined ? `${MIXIN_NAMES.join("\n")}\n` : findText(MIXIN, words, name));
  return EXIT.done;
}

/** All users may read the manual pages and their folder. */
const DIRECTORY_MODE = 0o755;

export async function runPrintMan({ args, table }: Input<typeof manCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files } = tools;
  const topics = manTopics(table);
  const topic = topics.find((item) => isNamed(item, args.join(" "), table));
  if (topic !== undefined) {
    tools.stdout.write(renderMan(table, topic, createEdition(BUILD)));
    return EXIT.done;
  }
  const [directory = ""] = args;
  const path = resolve(tools.cwd, directory);
  if (args.length > 1 || !(/[/\\]/.test(directory) || (await files.stat(path))?.kind === "directory")) {
    throw createUnknownCommandError(args.join(" "), topics);
  }
  await files.makeDirectory(path, DIRECTORY_MODE);
  for (const item of topics) {
    const page = join(path, `${manName(table, item)}.1`);
    await files.writeAtomic(page, renderMan(table, item, createEdition(BUILD)), PUBLIC_MODE);
  }
  tools.stderr.write(`${topics.length} pages are in ${directory}\n`);
  return EXIT.done;
}

/** Reports whether a text consists of the words of a command, or is the name of its page. */
function isNamed(topic: HelpTopic, text: string, table: CommandTable): boolean {
  return text === getTopicPath(topic).join(" ") || text === manName(table, topic);
}

function createUnknownCommandError(text: string, topics: readonly HelpTopic[]): UsageError {
  const nearest = findNearest(text, topics.map((topic) => getTopicPath(topic).join(" ")));
  const hint = "give the words of a command, or a folder as a path with a slash";
  return new UsageError(
    `no command and no folder is named "${text}"`,
    nearest === undefined || nearest === "" ? hint : `did you mean ${nearest}? ${hint}`,
  );
}
