/**
 * One run of the program: from the command line to the exit code. `run` gets everything that it uses as `Io`, and
 * `runProcess` creates that from the streams, environment and signals of the process.
 */
import { resolve } from "node:path";
import type { WriteStream } from "node:tty";
import { AppError, findErrorCode, getErrorMessage, isAppError } from "../core/errors.ts";
import type { Result } from "../core/lib/result.ts";
import { COMMAND_TABLE } from "./commands/mod.ts";
import { EXIT, type ExitCode, toExitCode, UsageError } from "./exit_code.ts";
import {
  type Command,
  type CommandTable,
  getCommandName,
  GLOBAL_FLAGS,
  type Input,
  isConfigurable,
} from "./framework/command.ts";
import type { FlagSet } from "./framework/flags.ts";
import { parseCommandLine, type RawFlags } from "./framework/parse.ts";
import { reportError, warn } from "./framework/report.ts";
import { checkRules } from "./framework/rules.ts";
import { describeSettings, findUnreadVariables, resolveSettings, type Sources } from "./framework/settings.ts";
import type { InputStream, Io, OutputStream } from "./io.ts";
import { guardStreams } from "./output/escape.ts";
import { checkSandbox } from "./systemd/sandbox.ts";
import { createSystemClock, createSystemHeap, createSystemRandom, createTools, isForegroundProcess } from "./system.ts";
import { readHidden } from "./terminal.ts";

/** The first word of a command line from a completion script. */
const COMPLETE_WORD = "complete";

/**
 * Runs a command line without the program's name, and resolves with the exit code. It never rejects: failures are reported
 * on stderr. `signal` aborts when the user interrupts the program; the exit code is then 130.
 */
export async function run(
  argv: readonly string[],
  unguarded: Io,
  signal: AbortSignal,
  table: CommandTable = COMMAND_TABLE,
): Promise<number> {
  const io: Io = { ...unguarded, ...guardStreams(unguarded) };
  let isDebug = argv.includes("--debug");
  let seeHelp: string | undefined;
  try {
    if (argv[0] === COMPLETE_WORD && argv[1] === "--") return await answerCompletion(argv.slice(2), io, table, signal);
    const invocation = parseCommandLine(argv, table, () => io.stdout.columns);
    if (invocation.kind === "help") {
      io.stdout.write(invocation.text);
      return EXIT.done;
    }
    const { command, args, raw } = invocation;
    seeHelp = `see: ${getCommandName(table, command)} --help`;
    checkVariables(command, table, io);
    const { environment } = command;
    const globals = required(resolveSettings(GLOBAL_FLAGS, { commandLine: raw, env: io.env, environment }));
    isDebug = globals.settings.debug;
    checkSandbox({ flags: GLOBAL_FLAGS, ...globals }, io);
    const path = globals.settings.config;
    const file = path === undefined ? undefined : await readConfig(path, globals.origins["config"], io, table, command);
    const sources: Sources = { commandLine: raw, env: io.env, environment, file };
    const resolved = required(resolveSettings(command.flags, sources, file?.faults));
    checkRules(command, { args, ...resolved });
    if (isDebug) {
      const described = [...describeSettings(GLOBAL_FLAGS, globals), ...describeSettings(command.flags, resolved)];
      for (const line of described) io.stderr.write(`tlsboot: debug: ${line}\n`);
    }
    checkSandbox({ flags: command.flags, ...resolved }, io);
    const action = await command.load();
    const input: Input = { args, ...resolved, table, run: (...others) => run(...others, table) };
    return await action.run(input, createTools(io, signal, isDebug));
  } catch (error) {
    const isBare = isAppError(error, "usage") && error.hint === undefined;
    return fail(isBare ? new UsageError(error.message, seeHelp) : error, io, signal, isDebug);
  }
}

function fail(error: unknown, io: Io, signal: AbortSignal, isDebug: boolean): ExitCode {
  const code = toExitCode(error, signal);
  if (code === EXIT.interrupted) io.stderr.write("tlsboot: interrupted\n");
  else reportError(error, io, isDebug);
  return code;
}

async function answerCompletion(
  words: readonly string[],
  io: Io,
  table: CommandTable,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { completeWords, findCompletedObjects } = await import("./framework/completion.ts");
  const objects = findCompletedObjects(words, table);
  const names = objects === undefined
    ? []
    : await (await import("./completed_names.ts")).listCompletedNames(objects, words, createTools(io, signal, false));
  io.stdout.write(completeWords(words, table, names));
  return EXIT.done;
}

/**
 * Warns about variables that the command does not read. For a strict command, throws UsageError for those that are settings,
 * because the user may rely on them.
 */
function checkVariables(command: Command, table: CommandTable, io: Io): void {
  const unread = findUnreadVariables(io.env, command, table);
  const faults = unread.filter(({ isSetting }) => isSetting && command.environment === "strict");
  for (const { name, reason } of unread.filter((variable) => !faults.includes(variable))) {
    warn(`${name} is ignored: ${reason}`, io);
  }
  if (faults.length === 0) return;
  throw new UsageError(
    faults.map(({ name, reason }) => `${name} is set, but ${reason}`).join("\n"),
    "a variable could change what this command signs or writes, so run: unset " +
      faults.map(({ name }) => name).join(" "),
  );
}

async function readConfig(
  path: string,
  origin: string | undefined,
  io: Io,
  table: CommandTable,
  command: Command,
): Promise<{ readonly path: string; readonly raw: RawFlags; readonly faults: readonly string[] }> {
  const [{ parseConfigFile }, { readFile }] = await Promise.all([
    import("./framework/config_file.ts"),
    import("node:fs/promises"),
  ]);
  // A file may have keys for several commands. If another command has a flag of the same name, that of the running
  // command counts.
  const known: FlagSet = Object.assign({}, ...table.commands.map(({ flags }) => flags), command.flags);
  try {
    const text = await readFile(resolve(io.cwd, path), "utf8");
    return { path, ...parseConfigFile(text, path, known, (key) => isConfigurable(key, command, table.commands)) };
  } catch (error) {
    const isMissing = findErrorCode(error) === "ENOENT";
    throw new UsageError(
      `cannot read config file "${path}": ${isMissing ? "no such file" : getErrorMessage(error)}`,
      `check ${origin}`,
    );
  }
}

/** Returns the value, or throws one UsageError with a line for each fault. */
function required<T>(result: Result<T, readonly string[]>): T {
  if (result.ok) return result.value;
  throw new UsageError(result.error.join("\n"));
}

type Process = NodeJS.Process;

/** Runs the program and exits with its code. A second SIGINT or SIGTERM ends the process at once. */
export function runProcess(process: Process): void {
  const interruption = new AbortController();
  const onSignal = (): void => {
    if (interruption.signal.aborted) process.exit(EXIT.interrupted);
    interruption.abort(new AppError("aborted", "interrupted"));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const outputs = [createOutput(process, "stdout"), createOutput(process, "stderr")] as const;
  run(process.argv.slice(2), createIo(process, ...outputs), interruption.signal).then(async (code) => {
    // If a broken stream never calls back, the process ends by itself with this code.
    process.exitCode = code;
    // Idle connections would keep the process alive, so it exits as soon as all output is written.
    for (const output of outputs) await output.drain();
    process.exit(code);
  });
}

/** Exits with a failure because the answer was not written: a file after `>` would be incomplete. */
function endUnwritten(process: Process, error: NodeJS.ErrnoException): never {
  // EPIPE means that the reader needs no more. An exit code that is already set stays.
  if (error.code === "EPIPE") process.exit(process.exitCode ?? EXIT.done);
  process.stderr.write(`tlsboot: error: cannot write the answer: ${error.message}\n`);
  process.exit(EXIT.failed);
}

function createIo(process: Process, stdout: OutputStream, stderr: OutputStream): Io {
  return {
    stdin: createInput(() => process.stdin),
    stdout,
    stderr,
    env: process.env,
    cwd: process.cwd(),
    execPath: process.execPath,
    versions: process.versions,
    clock: createSystemClock(),
    random: createSystemRandom(),
    heap: createSystemHeap(process),
  };
}

/** Creates an output of the process. It opens the stream on first use, because that takes a large part of a short run. */
function createOutput(
  process: Process,
  name: "stdout" | "stderr",
): OutputStream & { readonly drain: () => Promise<void> } {
  let opened: WriteStream | undefined;
  const open = (): WriteStream => {
    if (opened !== undefined) return opened;
    opened = process[name];
    // In `tlsboot get csr | head` the reader ends first.
    opened.on("error", (error: NodeJS.ErrnoException) => endUnwritten(process, error));
    return opened;
  };
  return {
    write(text) {
      try {
        open().write(text);
      } catch (cause) {
        // Deno writes synchronously and throws at once when the disk is full.
        throw new AppError("io", `cannot write the answer: ${getErrorMessage(cause)}`, { cause });
      }
    },
    get isTerminal() {
      return open().isTTY === true;
    },
    // Read each time, because a shell can move the process to the background and back.
    get isForeground() {
      return open().isTTY === true ? isForegroundProcess() : undefined;
    },
    // Read each time, because the window may be resized.
    get columns() {
      // Some terminals do not know their width and report 0.
      return open().isTTY === true ? open().columns || undefined : undefined;
    },
    drain() {
      return new Promise((resolve) => {
        if (opened === undefined) return resolve();
        opened.write("", (error) => {
          if (error !== null && error !== undefined) endUnwritten(process, error);
          resolve();
        });
      });
    },
  };
}

/** Creates the input of the process. Most commands never read it, so the stream is opened on first use. */
function createInput(open: () => Process["stdin"]): InputStream {
  let buffered = "";
  let isAtEnd = false;
  async function readMore(signal: AbortSignal): Promise<void> {
    const chunk = await nextChunk(open(), signal);
    if (chunk === undefined) isAtEnd = true;
    else buffered += chunk;
  }
  return {
    get isTerminal() {
      return open().isTTY === true;
    },
    async readAll(signal) {
      while (!isAtEnd) await readMore(signal);
      const text = buffered;
      buffered = "";
      return text;
    },
    async readLine(signal) {
      while (!buffered.includes("\n") && !isAtEnd) await readMore(signal);
      if (buffered === "") return undefined;
      const [line = "", ...rest] = buffered.split("\n");
      buffered = rest.join("\n");
      return line.replace(/\r$/, "");
    },
    readHidden: (signal) => readHidden(open(), signal),
  };
}

/** Reads the next chunk of text; undefined at the end. Between reads the stream is paused, so the process can end. */
function nextChunk(stream: Process["stdin"], signal: AbortSignal): Promise<string | undefined> {
  signal.throwIfAborted();
  stream.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      stream.pause();
      stream.off("data", onChunk).off("end", onEnd).off("error", onError);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onChunk = (chunk: string): void => finish(() => resolve(chunk));
    const onEnd = (): void => finish(() => resolve(undefined));
    const onError = (error: Error): void => finish(() => reject(error));
    const onAbort = (): void => finish(() => reject(signal.reason));
    stream.on("data", onChunk).on("end", onEnd).on("error", onError);
    signal.addEventListener("abort", onAbort, { once: true });
    stream.resume();
  });
}
