/** Prints a file of `packaging/mixin`, or lists all of them. */
import { findNearest } from "../../../core/lib/nearest.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { type DocsMixinFlags, MIXIN_NAMES } from "./flags.ts";
import { MIXIN } from "./mixin_texts.ts";

/** The action of the command `tlsboot docs mixin`. */
export function run({ args: [name] }: Input<DocsMixinFlags>, io: Io): Promise<ExitCode> {
  io.stdout.write(name === undefined ? `${MIXIN_NAMES.join("\n")}\n` : getFile(name));
  return Promise.resolve(EXIT.done);
}

function getFile(name: string): string {
  const text = Object.hasOwn(MIXIN, name) ? MIXIN[name] : undefined;
  if (text !== undefined) return text;
  const nearest = findNearest(name, MIXIN_NAMES);
  throw new UsageError(
    `no file of the mixin is named "${name}"`,
    nearest === undefined ? "list them with: tlsboot docs mixin" : `did you mean ${nearest}?`,
  );
}
