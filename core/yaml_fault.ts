/** What the YAML parser says of a text, for a person who may have named a file of secrets. */
import { messageOf } from "./errors.ts";

/** One line, without the name of an alias: all of a text that begins with `*` would be one. */
export function describeYamlFault(error: unknown): string {
  const [line = ""] = messageOf(error).split("\n");
  return line.replace(/^(Unresolved alias \(.*?\)): .*/, "$1").replace(/:$/, "");
}
