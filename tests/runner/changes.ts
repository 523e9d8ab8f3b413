/** What has changed since the last commit that passed everything, and which tests import what. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";

/** Names the last commit that passed `.ci/full`. */
const BASE = ".ci/base";

/**
 * Lists the paths that differ from the commit in `.ci/base`. Undefined when they cannot be known: the file is missing, or
 * the clone is shallow and does not have the commit.
 */
export function listChanges(): readonly string[] | undefined {
  if (!existsSync(BASE)) return undefined;
  const base = readFileSync(BASE, "utf8").trim();
  try {
    const paths = execFileSync("git", ["diff", "--name-only", "--no-renames", base], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return paths.split("\n").filter((path) => path !== "" && path !== BASE);
  } catch {
    return undefined;
  }
}

/** Reports whether a file of the tests imports another, itself or through others, or is it. Types do not count. */
export function imports(file: string, imported: string, seen: Set<string> = new Set()): boolean {
  if (file === imported) return true;
  if (seen.has(file) || !file.startsWith("tests/") || !existsSync(file)) return false;
  seen.add(file);
  const names = readFileSync(file, "utf8").matchAll(/^(?:im|ex)port (?!type )[^;]*? from "(\.[^"]+)"/gm);
  return [...names].some(([, name = ""]) => imports(posix.join(posix.dirname(file), name), imported, seen));
}
