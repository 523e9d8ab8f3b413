/**
 * The command line as a library: the command table, `run`, which executes one command line, and the system's clock,
 * randomness and log as the ports that every other part of tlsboot takes.
 *
 * @example One run, with everything it uses passed in
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSystemClock, createSystemRandom, type Io, run } from "@tlsboot/tlsboot/cli";
 *
 * let answer = "";
 * const io: Io = {
 *   stdin: {
 *     isTerminal: false,
 *     readAll: async () => "",
 *     readLine: async () => undefined,
 *     readHidden: async () => undefined,
 *   },
 *   stdout: { isTerminal: false, columns: undefined, write: (text) => void (answer += text) },
 *   stderr: { isTerminal: false, columns: undefined, write() {} },
 *   env: {},
 *   cwd: "/",
 *   execPath: "tlsboot",
 *   versions: {},
 *   clock: createSystemClock(),
 *   random: createSystemRandom(),
 * };
 * assert.equal(await run(["version"], io, AbortSignal.timeout(5_000)), 0);
 * assert.match(answer, /^tlsboot version: /);
 * ```
 *
 * @module
 */
export {
  type Action,
  type Argument,
  type Command,
  COMMAND_GROUPS,
  type CommandFamily,
  type CommandGroup,
  type CommandSpec,
  type CommandTable,
  type Input,
} from "./framework/command.ts";
export type { Rule } from "./framework/rules.ts";
export {
  type CompletedObjects,
  type Completion,
  type Flag,
  FLAG_GROUPS,
  type FlagGroup,
  type FlagSet,
  type Settings,
} from "./framework/flags.ts";
export { COMMAND_TABLE } from "./commands/mod.ts";
export { EXIT, type ExitCode } from "./exit_code.ts";
export type { InputStream, Io, OutputStream, Tools } from "./io.ts";
export type { Heap } from "../instance/quiet_heap.ts";
export { createLogger, type LogFormat, type LoggerOptions, type LogLevel } from "./logging.ts";
export { run } from "./run.ts";
export { createSystemClock, createSystemRandom } from "./system.ts";
