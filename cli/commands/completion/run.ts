/** Prints the completion script for a shell. */
import { type completionCommand, SHELLS } from "./flags.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { renderCompletionScript } from "../../framework/completion.ts";
import { findNearest } from "../../../core/lib/nearest.ts";
import type { Tools } from "../../io.ts";

export function run(
  { args: [name = ""], table }: Input<typeof completionCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const shell = SHELLS.find((item) => item === name);
  if (shell === undefined) {
    const nearest = findNearest(name, SHELLS);
    throw new UsageError(
      `unsupported shell "${name}": want one of ${SHELLS.join(", ")}`,
      nearest === undefined ? undefined : `did you mean ${nearest}?`,
    );
  }
  tools.stdout.write(renderCompletionScript(shell, table.program));
  return Promise.resolve(EXIT.done);
}
