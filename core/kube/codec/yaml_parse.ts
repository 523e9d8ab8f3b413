/**
 * Parses YAML as the API machinery does (sigs.k8s.io/yaml over go-yaml v2): only the first document, with YAML 1.1 words
 * and limited aliases. Then it is converted to JSON: keys become text and are sorted. It takes linear time.
 */
import { ValueReader } from "./yaml_decode.ts";
import { JsonWriter } from "./yaml_json.ts";
import { readYamlTree } from "./yaml_node.ts";
import { readYamlSource } from "./yaml_source.ts";
import { ElementBudget } from "./element_budget.ts";
import type { JsonDocument } from "./json_document.ts";

/**
 * Parses YAML text, or bytes in UTF-8 or UTF-16; throws `JsonSyntaxError` with the library's message. Repeated keys are
 * in `strictErrors`, with Go's message. Members are sorted, as in the JSON to which Kubernetes converts YAML first; if
 * that JSON is nested too deeply, the `DecodeError` is that of its parser. StatusError 413 for too many values.
 */
export function parseYaml(source: string | Uint8Array): JsonDocument {
  const budget = new ElementBudget();
  const tree = readYamlTree(readYamlSource(source), budget);
  if (tree === undefined) return { value: null, duplicates: [] };
  const reader = new ValueReader(budget);
  const value = reader.read(tree);
  const writer = new JsonWriter();
  return {
    value: writer.write(value),
    duplicates: [],
    ...(writer.members.size > 0 ? { members: writer.members } : {}),
    ...(reader.repeated.length > 0
      ? { strictErrors: [`yaml: unmarshal errors:\n  ${reader.repeated.join("\n  ")}`] }
      : {}),
  };
}
