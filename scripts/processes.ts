/** Runs scripts, and child processes from them. */
import { spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Returns the folder outside of the checkout for files that are built or fetched once on each machine. */
export function cacheDir(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tlsboot");
}

/** Runs the main function of a script unless the script was imported. Prints the files that it returns, or its error. */
export function runScript(script: ImportMeta, main: () => Promise<readonly string[] | void>): void {
  if (!script.main) return;
  main().then(printFiles).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}

async function printFiles(files: readonly string[] | void): Promise<void> {
  for (const file of files ?? []) {
    process.stdout.write(`${file}: ${((await stat(file)).size / 1e6).toFixed(1)} MB\n`);
  }
}

/** The folder in which a child runs, and variables in addition to ours. */
interface ChildOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end, with our stdout and stderr, and returns the exit code. */
export function run(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      stdio: ["ignore", "inherit", "inherit"],
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

/** Runs a program that must succeed. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<void> {
  const code = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}`);
}

/** Runs a program that must succeed, and returns its output instead of showing it. The error of a failure contains it. */
export async function runQuietly(
  command: string,
  args: readonly string[],
  options: ChildOptions & { readonly stdin?: string } = {},
): Promise<string> {
  const { code, output } = await capture(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}\n${output}`);
  return output;
}

/** Runs a program to its end, and returns the output of both streams in order. */
export function runAside(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return capture(command, args, { env });
}

export interface Ended {
  readonly code: number;
  readonly output: string;
}

function capture(
  command: string,
  args: readonly string[],
  { cwd, env, stdin = "" }: ChildOptions & { readonly stdin?: string },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      stdio: ["pipe", "pipe", "pipe"],
      cwd,
      env: { ...process.env, ...env },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => output += chunk);
    }
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? (signal === null ? 1 : 128), output }));
  });
}
