/** Reads the text of one of our own YAML files: version, kind, and a shape. */
import { parseDocument } from "yaml";
import { err, ok, type Result } from "../result.ts";
import { describeYamlFault } from "../yaml_fault.ts";
import type { Shape } from "./shapes.ts";

/** The one version there is. */
export const OWN_API_VERSION = "tlsboot/v1alpha1";

/** Aliases are for brevity, not for bombs. */
const MAX_ALIASES = 100;

/** Reads a file of one kind, ours unless another version is named. The error lists every fault; the file's name is for whoever prints it. */
export function readOwnFile<T>(
  text: string,
  kind: string,
  shape: Shape<T>,
  version: string = OWN_API_VERSION,
): Result<T, readonly string[]> {
  const content = contentOf(text);
  if (!content.ok) return err([content.error]);
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

function contentOf(text: string): Result<unknown, string> {
  const document = parseDocument(text);
  const broken = document.errors[0];
  if (broken !== undefined) return err(`not YAML: ${describeYamlFault(broken)}`);
  try {
    return ok(document.toJS({ maxAliasCount: MAX_ALIASES }));
  } catch (error) {
    return err(`not YAML: ${describeYamlFault(error)}`);
  }
}
