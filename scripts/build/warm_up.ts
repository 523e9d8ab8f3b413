/**
 * Makes V8's code cache for a bundle, with the functions in it that the given commands call. Runs on the Node that the
 * cache is for: V8 takes none from another version or processor.
 *
 * Usage: warm_up.ts BUNDLE CACHE, with the command lines as JSON lists on stdin, a line each
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { compileBundle, mainOf } from "./assets.ts";

const requireOwn = createRequire(process.execPath);

async function main(): Promise<void> {
  const [bundle, cache] = process.argv.slice(2);
  if (bundle === undefined || cache === undefined) throw new Error("usage: warm_up.ts BUNDLE CACHE < COMMANDS");
  const script = compileBundle(readFileSync(bundle, "latin1"));
  for (const line of readFileSync(0, "utf8").split("\n").filter((text) => text !== "")) {
    const code = await runOnce((require) => mainOf(script)(require), JSON.parse(line));
    if (code !== 0) throw new Error(`the warm-up command ${line} ended with ${code}`);
  }
  writeFileSync(cache, script.createCachedData());
}

/** Runs the program with a process that ends nothing and writes nowhere; answers the exit code. */
function runOnce(run: (require: (name: string) => unknown) => void, argv: readonly string[]): Promise<number> {
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
      stdout: { value: nowhere },
      stderr: { value: nowhere },
      on: { value: () => own },
      exit: { value: resolve },
      exitCode: { value: undefined, writable: true },
    });
    run((name) => name === "node:process" ? own : requireOwn(name));
  });
}

main().then(() => process.exit(0), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
