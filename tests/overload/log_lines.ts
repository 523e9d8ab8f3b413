/** The lines of a log by their message: messages are constants, so there are few of them. */

/** The number of lines of each message. */
export type LogLines = Readonly<Record<string, number>>;

/** Lines that are not of the log, such as the messages of `up` to a person. */
export const NO_MESSAGE = "(no message)";

/** Counts the lines of a piece of a log in JSON. */
export function countLines(text: string): LogLines {
  const counts: Record<string, number> = {};
  for (const line of text.split("\n").filter((line) => line.trim() !== "")) {
    const message = parseMessage(line);
    counts[message] = (counts[message] ?? 0) + 1;
  }
  return counts;
}

export function sumLines(lines: LogLines): number {
  return Object.values(lines).reduce((sum, count) => sum + count, 0);
}

function parseMessage(line: string): string {
  try {
    const { message } = JSON.parse(line) as { readonly message?: unknown };
    return typeof message === "string" ? message : NO_MESSAGE;
  } catch {
    return NO_MESSAGE;
  }
}
