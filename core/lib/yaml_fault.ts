/** What the YAML parser says of a text, for a person who may have named a file of secrets. */
import { messageOf } from "../errors.ts";

/** Faults that quote words of the text (`yaml`: doc/directives, compose, nodes/Alias), up to where they do. */
const QUOTING: readonly RegExp[] = [
  /^Unresolved alias \(.*?\)/,
  /^Block scalar header includes extra characters/,
  /^Invalid escape sequence/,
  /^(?:Could not resolve|Unresolved|Not a valid|Verbatim) tags?/,
  /^The (?=.* tag has no suffix)/,
  /^Unresolved plain scalar/,
  /^Unknown directive/,
  /^Unsupported YAML version/,
  /^Ordered maps must not include duplicate keys/,
];
const PLACE = / at line \d+, column \d+:?$/;

/** One line, without the words of the text: all of a passphrase could be one of them. */
export function describeYamlFault(error: unknown): string {
  const [line = ""] = messageOf(error).split("\n");
  const place = PLACE.exec(line)?.[0] ?? "";
  const said = line.slice(0, line.length - place.length);
  const [plain] = QUOTING.flatMap((form) => form.exec(said)?.[0] ?? []);
  return `${plain === "The " ? "The tag has no suffix" : plain ?? said}${place}`.replace(/:$/, "");
}
