/** Our files and kubeconfigs as YAML, read in linear time: they can come from elsewhere, a kubeconfig out of `cluster-info`. */
import { isAlias, isCollection, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { err, ok, type Result } from "./result.ts";
import { getErrorMessage } from "../errors.ts";

/** Aliases are for brevity, not for bombs. */
const MAX_ALIASES = 100;

/** What to read YAML as; `yaml`'s own options. */
export type YamlOptions = Pick<NonNullable<Parameters<typeof parseDocument>[1]>, "version" | "customTags">;

/** The value of a text, or its first fault in one line. Never throws. */
export function readYaml(text: string, options: YamlOptions = {}): Result<unknown, string> {
  const lines = new LineCounter();
  // `yaml` looks for a repeated key by comparing each with all before it.
  const document = parseDocument(text, { ...options, uniqueKeys: false, lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined) return err(describeYamlFault(broken));
  try {
    const fault = findKeyFault(document, lines);
    return fault === undefined ? ok(document.toJS({ maxAliasCount: MAX_ALIASES })) : err(fault);
  } catch (error) {
    // An alias without its anchor, aliases that multiply beyond measure, or more levels than there is stack.
    return err(describeYamlFault(error));
  }
}

function findKeyFault(document: ReturnType<typeof parseDocument>, lines: LineCounter): string | undefined {
  let fault: string | undefined;
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        const problem = isCollection(key) || isAlias(key)
          // Such a key would be printed as text, with the keys within it once more for each level.
          ? "A key must be plain text"
          : isScalar(key) && seen.has(key.value)
          ? "Map keys must be unique"
          : undefined;
        if (problem !== undefined) {
          const { line, col } = lines.linePos((key as { readonly range?: readonly number[] }).range?.[0] ?? 0);
          fault = `${problem} at line ${line}, column ${col}`;
          return visit.BREAK;
        }
        if (isScalar(key)) seen.add(key.value);
      }
      return undefined;
    },
  });
  return fault;
}

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
  const [line = ""] = getErrorMessage(error).split("\n");
  const place = PLACE.exec(line)?.[0] ?? "";
  const said = line.slice(0, line.length - place.length);
  const [plain] = QUOTING.flatMap((form) => form.exec(said)?.[0] ?? []);
  return `${plain === "The " ? "The tag has no suffix" : plain ?? said}${place}`.replace(/:$/, "");
}
