/** The command `tlsboot docs man`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";

const flags = {} as const;

/** The flags of `docs man`, for the action. */
export type DocsManFlags = typeof flags;

/** The command that prints a manual page, or writes all of them. */
export const docsManCommand = defineCommand({
  path: ["docs", "man"],
  summary: "Print a manual page, or write them all into a folder",
  description: `Print the manual page of tlsboot or of one of its commands, or write all pages into a folder.

 The argument is a command, whose page is printed, or a folder: an existing one, or a path with a slash in it, which is
 created. Existing pages are replaced.`,
  group: "Other Commands",
  args: [argument("DIR|COMMAND", "A folder, or the words of a command", {
    optional: true,
    variadic: true,
    completion: { kind: "directory" },
  })],
  flags,
  examples: [
    { comment: "Read about a command", command: "tlsboot docs man token create | man -l -" },
    { comment: "Install the pages", command: "tlsboot docs man /usr/local/share/man/man1" },
  ],
  exitCodes: {},
  load: () => import("./man.ts"),
});
