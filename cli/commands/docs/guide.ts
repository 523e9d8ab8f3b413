/** Prints a guide of `docs/guides`, or lists all of them. */
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { findText } from "./find_text.ts";
import { GUIDE_GROUPS, type guideCommand } from "./flags.ts";
import { GUIDES } from "./guide_texts.ts";

export function run({ args: [name] }: Input<typeof guideCommand.flags>, tools: Tools): Promise<ExitCode> {
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
