/**
 * Parses YAML as the API machinery does (sigs.k8s.io/yaml over go-yaml v2): only the first document, with YAML 1.1
 * words and limited aliases. Some documents that go-yaml reads are refused, but no value differs.
 */
import { decodeUtf8, goQuote } from "../../lib/go_text.ts";
import { readYamlDocument, type RepeatedKey } from "../../lib/yaml/document.ts";
import { YamlError } from "../../lib/yaml/tree.ts";
import { ElementBudget } from "./element_budget.ts";
import { type JsonDocument, JsonSyntaxError } from "../json_value.ts";

/**
 * Parses YAML text, or bytes in UTF-8; throws `JsonSyntaxError`, which has the line and quotes nothing. Repeated keys
 * are in `strictErrors`, with Go's message. Members are sorted, as in the JSON to which Kubernetes converts YAML first.
 * StatusError 413 for too many values.
 */
export function parseYaml(source: string | Uint8Array): JsonDocument {
  const text = typeof source === "string" ? source : decodeUtf8(source);
  try {
    const options = { version: "1.1", isFile: false, budget: new ElementBudget() } as const;
    const { value, members, repeated } = readYamlDocument(text, options);
    return {
      value,
      duplicates: [],
      ...(members.size > 0 ? { members } : {}),
      ...(repeated.length > 0 ? { strictErrors: [describeRepeated(text, repeated)] } : {}),
    };
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new JsonSyntaxError(`yaml: line ${text.slice(0, error.at).split("\n").length}: ${error.message}`, error);
  }
}

function describeRepeated(text: string, repeated: readonly RepeatedKey[]): string {
  let line = 1;
  let end = 0;
  const messages = repeated.toSorted((left, right) => left.at - right.at).map(({ key, at }) => {
    line += text.slice(end, at).split("\n").length - 1;
    end = at;
    const shown = typeof key === "object" && key !== null ? key.literal : typeof key === "string" ? goQuote(key) : key;
    return `line ${line}: key ${shown} already set in map`;
  });
  return `yaml: unmarshal errors:\n  ${messages.join("\n  ")}`;
}
