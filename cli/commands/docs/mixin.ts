/** Prints a file of `packaging/mixin`, or lists all of them. */
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { findText } from "./find_text.ts";
import { MIXIN_NAMES, type mixinCommand } from "./flags.ts";
import { MIXIN } from "./mixin_texts.ts";

const MIXIN_TEXTS = { texts: MIXIN, what: "file of the mixin", list: "tlsboot mixin" };

export function run({ args: [name] }: Input<typeof mixinCommand.flags>, tools: Tools): Promise<ExitCode> {
  tools.stdout.write(name === undefined ? `${MIXIN_NAMES.join("\n")}\n` : findText(MIXIN_TEXTS, name));
  return Promise.resolve(EXIT.done);
}
