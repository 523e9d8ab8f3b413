/** Prints a manual page, or writes all of them. */
import { join, resolve } from "node:path";
import { findNearest } from "../../../core/lib/nearest.ts";
import { BUILD, TLSBOOT_VERSION, UNKNOWN_BUILD } from "../../../core/version.ts";
import type { manCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { CommandTable, Input } from "../../framework/command.ts";
import { getTopicPath, type HelpTopic } from "../../framework/help.ts";
import { type ManEdition, manName, manTopics, renderMan } from "../../framework/man.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Tools } from "../../io.ts";

/** Manual pages and their folder are readable by all users. */
const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;

export async function run({ args, table }: Input<typeof manCommand.flags>, tools: Tools): Promise<ExitCode> {
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
    await files.writeAtomic(page, renderMan(table, item, edition()), FILE_MODE);
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
