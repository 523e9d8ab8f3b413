/**
 * Shell scripts whose `tlsboot` runs in the process of the test, which takes a tenth of the time of a child process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { createInterface } from "node:readline";
import { type Finished, runTlsboot, type StartOptions } from "./child.ts";
import { createTempFolder } from "./temp.ts";

/**
 * Runs a script unchanged in a shell. For each call of tlsboot, the shell prints the number of words, the folder and
 * the words, each on a line, and then reads the exit code and the output. Only `tlsboot approve -i` reads stdin, to its
 * end.
 */
export async function runInShell(
  script: string,
  { cwd, env, stdin = "", args = [], run = runTlsboot }: StartOptions & {
    readonly args?: readonly string[];
    readonly run?: typeof runTlsboot;
  },
): Promise<Finished> {
  await using folder = await createTempFolder();
  const read = (name: string) => readFile(folder.join(name), "utf8");
  await writeFile(folder.join("stdin"), stdin);
  const prelude = `
    exec 3>&1 4<&0 <"${folder.join("stdin")}" >"${folder.join("stdout")}" 2>"${folder.join("stderr")}"
    tlsboot() {
      if test "$1 $2" = "approve -i"; then cat; fi >"${folder.join("typed")}"
      printf '%s\\n' "$#" "$PWD" "$@" >&3
      read -r code <&4
      cat "${folder.join("answer")}"
      cat "${folder.join("messages")}" >&2
      return "$code"
    }
`;
  const shell = spawn("sh", ["-c", prelude + script, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
  });
  const ended = once(shell, "close");
  let lines: string[] = [];
  try {
    for await (const text of createInterface(shell.stdout)) {
      lines.push(text);
      const [count, place = "", ...words] = lines;
      if (lines.length < 2 + Number(count)) continue;
      const done = await run(words, { cwd: place, stdin: await read("typed"), ...(env === undefined ? {} : { env }) });
      await writeFile(folder.join("answer"), done.stdout);
      await writeFile(folder.join("messages"), done.stderr);
      shell.stdin.write(`${done.code}\n`);
      lines = [];
    }
    const [code] = await ended;
    return { code, stdout: await read("stdout"), stderr: await read("stderr") };
  } finally {
    shell.kill();
  }
}
