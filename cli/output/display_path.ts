/** Paths as they are shown and can be typed: relative to the current folder where that is shorter. */
import { relative } from "node:path";
import { shellWord } from "../../core/lib/shell_word.ts";

/** The shorter of the relative and the absolute form; never climbs out of the current folder. */
export function displayPath(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short === "" || short.startsWith("..") ? path : short;
}

/** The same as a word of a command that somebody will paste. */
export function pathWord(path: string, cwd: string): string {
  return shellWord(displayPath(path, cwd));
}
