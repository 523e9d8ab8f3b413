/** Reads the text of one of our own YAML files: version, kind, and a shape. */
import { err, ok, type Result } from "./result.ts";
import { readYaml } from "./yaml_document.ts";
import type { Shape } from "./config_shapes.ts";

/** The one version there is. */
export const CONFIG_API_VERSION = "tlsboot/v1alpha1";

/** Reads a file of one kind, ours unless another version is named. The error lists every fault; the file's name is for whoever prints it. */
export function parseConfigFile<T>(
  text: string,
  kind: string,
  shape: Shape<T>,
  version: string = CONFIG_API_VERSION,
): Result<T, readonly string[]> {
  const content = readYaml(text);
  if (!content.ok) return err([`not YAML: ${content.error}`]);
  const { value } = content;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return err(["a mapping expected"]);
  const { apiVersion, kind: named, ...rest }: Record<string, unknown> = { ...value };
  const faults = [
    ...(apiVersion === version ? [] : [`apiVersion: must be "${version}"`]),
    ...(named === kind ? [] : [`kind: must be "${kind}"`]),
  ];
  const read = shape(rest, { path: "", faults });
  return faults.length === 0 && read !== undefined ? ok(read) : err(faults);
}
