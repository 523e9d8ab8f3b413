/**
 * Makes V8's code caches for the scripts of a bundle, with the functions in them that the given commands call. Runs on
 * the Node that the caches are for: V8 takes none from another version or processor. Which functions are called, and so
 * the caches, must not depend on the builder: its environment is replaced.
 *
 * Usage: warm_up.ts FOLDER, where the wrapped scripts lie, with command lines as JSON lists on stdin, a line each
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

/** Runs the program with a process that ends nothing and writes nowhere; returns the exit code. */
function runOnce(compile: (name: string) => Script, argv: readonly string[]): Promise<number> {
  const requireBuiltIn = createNodeRequire(process.execPath);
  return new Promise((resolve) => {
    const nowhere = {
      isTTY: false,
      on: () => nowhere,
      write: (_text: string, done?: () => void) => {
        done?.();
        return true;
      },
    };
    const own = Object.create(process, {
      argv: { value: ["tlsboot", "tlsboot", ...argv] },
      env: { value: ENV },
      stdout: { value: nowhere },
      stderr: { value: nowhere },
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
