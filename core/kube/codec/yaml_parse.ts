/**
 * YAML as the API machinery reads it (sigs.k8s.io/yaml over go-yaml v2): the first document only, YAML 1.1 words,
 * aliases within limits, then JSON: keys become text and are sorted. Linear in the size of the text.
 */
import { ValueReader } from "./yaml_decode.ts";
import { JsonWriter } from "./yaml_json.ts";
import { readYamlTree } from "./yaml_node.ts";
import { readYamlSource } from "./yaml_source.ts";
import { ElementBudget } from "./element_budget.ts";
import type { JsonDocument } from "./json_document.ts";

/**
 * Parses YAML text, or bytes in UTF-8 or UTF-16; throws `JsonSyntaxError` with the library's text. Repeated keys stand
 * in `strictErrors`, in Go's words. Members come sorted, as in the JSON that Kubernetes makes of YAML before it looks at
 * it; should that JSON be nested too deeply, the `DecodeError` is the one of reading it. StatusError 413 for too many values.
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
