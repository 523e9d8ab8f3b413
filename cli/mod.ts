/** The command line as a library: the command table and one run of it. */
export { COMMAND_TABLE } from "./commands/mod.ts";
export { EXIT, type ExitCode } from "./exit_code.ts";
export type { Io } from "./io.ts";
export { run } from "./run.ts";
