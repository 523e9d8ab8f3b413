/** Paths in messages: relative to the current folder when they are below it. */
import { relative } from "node:path";
import { shellWord } from "../../core/lib/shell_word.ts";

/**
 * Returns a path relative to the current folder when it is below it, else unchanged. A service has `/` as its folder, which
 * the reader of its log does not know.
 */
export function displayPath(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return cwd === "/" || short === "" || short.startsWith("..") ? path : short;
}

/** Returns the same path quoted for a shell, for commands that users copy from a message. */
export function pathWord(path: string, cwd: string): string {
  return shellWord(displayPath(path, cwd));
}
