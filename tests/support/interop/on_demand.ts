/** Starts programs of tests/support that do one action for each line on stdin, on a failing disk. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { NODE_FLAGS, ROOT } from "../child.ts";
import type { FaultyDisk } from "./faulty_disk.ts";

/** A running program. Disposing it ends its input and waits for its end. */
interface OnDemand extends AsyncDisposable {
  /** Returns the next line that the program prints. */
  nextLine(): Promise<string>;
  /** Sends a line and returns the line that the program answers. */
  send(line: string): Promise<string>;
}

/** Starts a program on Node, which makes file calls through libc. */
export function startOnDemand(name: string, folder: string, disk: FaultyDisk): OnDemand {
  const node = process.env["TLSBOOT_TEST_NODE"] ?? process.execPath;
  const program = join(ROOT, "tests", "support", name);
  if (!existsSync(program)) throw new Error(`there is no ${program}`);
  const child: ChildProcess = spawn(node, [...NODE_FLAGS, program, folder], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...disk.env },
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => (await lines.next()).value ?? "ended";
  return {
    nextLine,
    send(line) {
      child.stdin!.write(`${line}\n`);
      return nextLine();
    },
    async [Symbol.asyncDispose]() {
      child.stdin!.end();
      await new Promise((resolve) => child.once("close", resolve));
    },
  };
}

/** The state of a command: its exit code once it has ended, and what it has printed. */
interface CommandState {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs commands of tlsboot on a failing disk. Disposing it ends their process. */
interface Commands extends AsyncDisposable {
  /** Runs a command to its end, or starts a server and returns without an exit code when it is up. */
  run(...args: readonly string[]): Promise<CommandState>;
  /** Stops the server and waits until it has ended. */
  stop(): Promise<CommandState>;
  /** Waits until the server ends by itself. */
  end(): Promise<CommandState>;
}

/** Starts the process for commands. */
export function startCommands(folder: string, disk: FaultyDisk): Commands {
  const program = startOnDemand("commands_on_demand.ts", folder, disk);
  const send = async (line: string): Promise<CommandState> => JSON.parse(await program.send(line));
  return {
    run: (...args) => send(JSON.stringify(args)),
    stop: () => send("stop"),
    end: () => send("end"),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
