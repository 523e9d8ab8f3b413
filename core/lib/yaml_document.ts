/** Reads config files and kubeconfigs in linear time, because a kubeconfig can come from a server (`cluster-info`). */
import { isAlias, isCollection, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { err, ok, type Result } from "./result.ts";

/** The largest number of aliases, which prevents alias bombs. */
const MAX_ALIASES = 100;

/** The options of the `yaml` package that callers may set. */
export type YamlOptions = Pick<NonNullable<Parameters<typeof parseDocument>[1]>, "version" | "customTags">;

/** Parses a YAML text; the error is the first fault in one line. Never throws. */
export function readYaml(text: string, options: YamlOptions = {}): Result<unknown, string> {
  const lines = new LineCounter();
  // `yaml` compares each key with all keys before it, which takes quadratic time.
  const document = parseDocument(text, { ...options, uniqueKeys: false, lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined) return err(describeYamlFault(broken));
  try {
    const fault = findKeyFault(document, lines);
    return fault === undefined ? ok(document.toJS({ maxAliasCount: MAX_ALIASES })) : err(fault);
  } catch (error) {
    // An alias without its anchor, too many aliases, or too many levels for the stack.
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
          // Such a key would be converted to text, whose size doubles with each level.
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

/** The beginnings of faults that quote words of the text after it (`yaml`: doc/directives, compose, nodes/Alias). */
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

/** Describes a fault in one line without quoting the text, because the file may be a secret that was named by mistake. */
export function describeYamlFault(error: unknown): string {
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  const place = PLACE.exec(line)?.[0] ?? "";
  const said = line.slice(0, line.length - place.length);
  const [plain] = QUOTING.flatMap((form) => form.exec(said)?.[0] ?? []);
  return `${plain === "The " ? "The tag has no suffix" : plain ?? said}${place}`.replace(/:$/, "");
}
