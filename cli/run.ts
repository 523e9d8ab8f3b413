/** One run of the program: from the command line to the exit code. Everything that it uses is passed in as `Io`. */
import { resolve } from "node:path";
import { findErrorCode, getErrorMessage, isAppError } from "../core/errors.ts";
import type { Result } from "../core/lib/result.ts";
import { COMMAND_TABLE } from "./commands/mod.ts";
import { EXIT, type ExitCode, toExitCode, UsageError } from "./exit_code.ts";
import { type Command, type CommandTable, getCommandName, GLOBAL_FLAGS, isConfigurable } from "./framework/command.ts";
import type { FlagSet } from "./framework/flags.ts";
import { parseCommandLine, type RawFlags } from "./framework/parse.ts";
import { reportError, warn } from "./framework/report.ts";
import { checkRules } from "./framework/rules.ts";
import { describeSettings, findUnreadVariables, resolveSettings, type Sources } from "./framework/settings.ts";
import type { Io } from "./io.ts";
import { guardStreams } from "./output/escape.ts";
import { checkSandbox } from "./systemd/sandbox.ts";
import { createTools } from "./system.ts";

/** The first word of a query by a completion script. It is not a command for people. */
const COMPLETE_WORD = "complete";

/**
 * Runs a command line (without the program's name) and resolves with the exit code. Never rejects: a failure is reported
 * on stderr. `signal` is the interruption by the user, after which the exit code is 130.
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
    return await action.run({ args, ...resolved, table }, createTools(io, signal, isDebug));
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
 * Warns about variables that the command does not read. Throws UsageError for those that could have been meant to change
 * what a strict command does.
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
  // A file may have keys for several commands. Where two of them have a flag of one name, that of the running one counts.
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
