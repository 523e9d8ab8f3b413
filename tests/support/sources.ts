/** The texts of this repository, for tests of its sources. A process reads each file once. */
import { globSync, readFileSync } from "node:fs";

/** A file and its path from the root, with slashes. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

const known = new Map<string, SourceText>();

/** Reads the files that match the patterns, except paths that match `skipped`. */
export function readSources(patterns: readonly string[], skipped = /^$/): readonly SourceText[] {
  const paths = globSync([...patterns], { exclude: (name) => name === "node_modules" });
  return paths.map((path) => path.replaceAll("\\", "/")).filter((path) => !skipped.test(path)).map((path) => {
    const source = known.get(path) ?? { path, text: readFileSync(path, "utf8") };
    known.set(path, source);
    return source;
  });
}
