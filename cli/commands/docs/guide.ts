/** Prints a guide of `docs/guides`, or lists all of them. */
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Io } from "../../io.ts";
import { createTablePrinter } from "../../output/table.ts";
import { findText } from "./find_text.ts";
import type { DocsGuideFlags } from "./flags.ts";
import { GUIDES } from "./guide_texts.ts";

/** The action of the command `tlsboot docs guide`. */
export function run({ args: [name] }: Input<DocsGuideFlags>, io: Io): Promise<ExitCode> {
  io.stdout.write(name === undefined ? formatList() : formatGuide(getGuide(name)));
  return Promise.resolve(EXIT.done);
}

function formatList(): string {
  const rows = Object.entries(GUIDES).map(([name, page]) => ({ cells: [name, findTitle(page)] }));
  return createTablePrinter({ isWide: false }).print([{ name: "Name" }, { name: "Title" }], rows);
}

function findTitle(page: string): string {
  return /^# (.*)$/m.exec(page)?.[1] ?? "";
}

/** Finds a guide by its name, which may also be typed with hyphens. */
function getGuide(name: string): string {
  const key = name.replaceAll("-", "_").replace(/\.md$/, "");
  return findText({ texts: GUIDES, what: "guide", list: "tlsboot docs guide" }, key, name);
}

/** Formats a page for the terminal: without comments, and with links to other guides as the command that prints them. */
function formatGuide(page: string): string {
  return page
    .replace(/^<!--.*-->\n\n?/gm, "")
    .replace(/\[([^[\]]+)\]\(([^()\s]+)\)/g, (_, label: string, target: string) => {
      const name = /^([a-z_]+)\.md(?:#|$)/.exec(target)?.[1];
      if (name === undefined || GUIDES[name] === undefined) return label;
      return label === `${name}.md` ? `\`tlsboot docs guide ${name}\`` : `${label} (\`tlsboot docs guide ${name}\`)`;
    });
}
