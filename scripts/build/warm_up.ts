/**
 * Writes V8's code caches for the scripts of a bundle, with the functions that the given commands call. It runs on the
 * Node that will read the caches, because V8 accepts none from another version or processor. The caches must not depend
 * on the machine that builds them, so its environment is replaced.
 *
 * Usage: warm_up.ts FOLDER, the folder of the wrapped scripts, with command lines as JSON lists on stdin, one per line
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire as createNodeRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import type { Script } from "node:vm";
import { compileAsset, createRequire, ENTRY, toCodeCacheName } from "./assets.ts";

async function main(): Promise<void> {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: warm_up.ts FOLDER < COMMANDS");
  const scripts = new Map<string, Script>();
  const compile = (name: string): Script => {
    const known = scripts.get(name) ?? compileAsset(name, readFileSync(join(folder, name), "latin1"));
    scripts.set(name, known);
    return known;
  };
  for (const line of readFileSync(0, "utf8").split("\n").filter((text) => text !== "")) {
    const code = await runOnce(compile, JSON.parse(line));
    if (code !== 0) throw new Error(`the warm-up command ${line} ended with ${code}`);
  }
  for (const [name, script] of scripts) writeFileSync(join(folder, toCodeCacheName(name)), script.createCachedData());
}

/** The environment of the commands. */
const ENV = { HOME: "/root", PATH: "/usr/bin:/bin" };

/** Runs the program with a `process` that discards output and does not exit. Returns the exit code. */
function runOnce(compile: (name: string) => Script, argv: readonly string[]): Promise<number> {
  const requireBuiltIn = createNodeRequire(process.execPath);
  return new Promise((resolve) => {
    const discard = {
      isTTY: false,
      on: () => discard,
      write: (_text: string, done?: () => void) => {
        done?.();
        return true;
      },
    };
    const own = Object.create(process, {
      argv: { value: ["tlsboot", "tlsboot", ...argv] },
      env: { value: ENV },
      stdout: { value: discard },
      stderr: { value: discard },
      on: { value: () => own },
      exit: { value: resolve },
      exitCode: { value: undefined, writable: true },
    });
    createRequire(compile, (name) => name === "node:process" ? own : requireBuiltIn(name))(`./${ENTRY}`);
  });
}

main().then(() => process.exit(0), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
