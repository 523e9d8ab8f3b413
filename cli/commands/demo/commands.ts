/** The commands that the demo prints: those of Kubernetes where they are installed, else those of tlsboot. */
import { delimiter, isAbsolute, join } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import type { CommandTable } from "../../framework/command.ts";
import { parseCommandLine } from "../../framework/parse.ts";
import { resolveSettings } from "../../framework/settings.ts";
import type { Io, OutputStream, Tools } from "../../io.ts";
import { createTools } from "../../system.ts";
import { reportError } from "../../framework/report.ts";
import { EXIT, type ExitCode, toExitCode } from "../../exit_code.ts";
import { ANSWER_COLUMNS } from "./narrator.ts";

/** The programs that the demo names in its commands, if they are on the PATH. */
export interface KnownPrograms {
  readonly kubectl: boolean;
  readonly kubelet: boolean;
  readonly openssl: boolean;
}

export async function findPrograms(io: Pick<Io, "env">, files: Pick<FilePort, "stat">): Promise<KnownPrograms> {
  const folders = (io.env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  const has = async (name: string): Promise<boolean> => {
    for (const path of folders.flatMap((folder) => [join(folder, name), join(folder, `${name}.exe`)])) {
      // A folder of the PATH that cannot be read has no program for this user.
      if ((await files.stat(path).catch(() => undefined))?.kind === "file") return true;
    }
    return false;
  };
  const kubectl = await has("kubectl");
  return { kubectl, kubelet: kubectl && await has("kubelet"), openssl: await has("openssl") };
}

export interface CommandAnswer {
  readonly code: ExitCode;
  /** Its output on stdout and stderr, in the order in which it was printed. */
  readonly text: string;
  readonly stdout: string;
}

/**
 * Runs a command of tlsboot in this process, as the same words in a terminal would, except that variables and a config
 * file have no influence. Rejects only when the signal fires.
 */
export async function runCommand(words: readonly string[], table: CommandTable, tools: Tools): Promise<CommandAnswer> {
  const printed = { all: "", stdout: "" };
  // Tables fit into the answer, as in a terminal of this width.
  const stream = (name: "stdout" | "stderr"): OutputStream => ({
    write(text) {
      printed.all += text;
      if (name === "stdout") printed.stdout += text;
    },
    isTerminal: name === "stdout",
    columns: ANSWER_COLUMNS,
  });
  const stdin: Io["stdin"] = {
    isTerminal: false,
    readAll: () => Promise.resolve(""),
    readLine: () => Promise.resolve(undefined),
    readHidden: () => Promise.resolve(undefined),
  };
  const captured = { ...tools, stdin, stdout: stream("stdout"), stderr: stream("stderr"), env: { NO_COLOR: "1" } };
  const code = await act(words, table, createTools(captured, tools.signal, false));
  tools.signal.throwIfAborted();
  return { code, text: printed.all, stdout: printed.stdout };
}

async function act(words: readonly string[], table: CommandTable, tools: Tools): Promise<ExitCode> {
  try {
    const invocation = parseCommandLine(words, table);
    if (invocation.kind === "help") throw new AppError("internal", `tlsboot ${words.join(" ")} is not a command`);
    const { command, args, raw } = invocation;
    const resolved = resolveSettings(command.flags, { commandLine: raw, env: {} });
    if (!resolved.ok) throw new AppError("internal", resolved.error.join("\n"));
    const action = await command.load();
    return await action.run({ args, ...resolved.value, table }, tools);
  } catch (error) {
    const code = toExitCode(error, tools.signal);
    if (code !== EXIT.interrupted) reportError(error, tools, false);
    return code;
  }
}
