/** A copy of this checkout, for builds that must not depend on the folder that they run in. */
import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";

/** The folders and files that a build reads. */
const INPUTS = [
  ...["cli", "client", "controllers", "core", "instance", "server", "ui", "scripts", "tests/support"],
  ...["deno.json", "deno.lock", "mod.ts", "node_modules"],
];

/** Copies the sources and the packages that a build reads into a folder. */
export async function copyBuildInputs(folder: string): Promise<void> {
  for (const name of INPUTS) {
    await cp(join(process.cwd(), name), join(folder, name), {
      recursive: true,
      verbatimSymlinks: true,
      // Deno locks the folder of packages with files that come and go.
      filter: (path) => !basename(path).startsWith(".deno.lock"),
    });
  }
}
