/** JSON and YAML as kubectl prints them. */
import { formatTime } from "../../core/kube/meta.ts";
import { escapeUnseen } from "../../core/lib/printable.ts";
import { formatYaml } from "../../core/lib/yaml/format.ts";
import type { ManifestPart } from "../../core/rbac/manifest.ts";
import { nameFlags } from "../framework/flags.ts";
import type { Io } from "../io.ts";

export function writeStructured(facts: unknown, format: "json" | "yaml", io: Pick<Io, "stdout">): void {
  io.stdout.write(format === "json" ? formatJson(facts) : formatSortedYaml(facts));
}

/**
 * Formats a value as JSON with a line break at its end, indented by four spaces, with sorted keys, and with `<`, `>` and `&`
 * escaped as in Go. Undefined members are omitted, and terminal control characters are escaped too.
 */
export function formatJson(value: unknown): string {
  const text = JSON.stringify(sortKeys(value), undefined, 4);
  const likeGo = text.replace(/[<>&]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `${escapeUnseen(likeGo)}\n`;
}

/** Copies a value with the keys of all objects sorted. A date becomes a text without milliseconds. */
export function sortKeys(value: unknown): unknown {
  if (value instanceof Date) return formatTime(value);
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const plain: Readonly<Record<string, unknown>> = "toJSON" in value ? JSON.parse(JSON.stringify(value)) : { ...value };
  const keys = Object.keys(plain).sort();
  // A null prototype, so that no key is special.
  const sorted: Record<string, unknown> = Object.create(null);
  for (const key of keys) sorted[key] = sortKeys(plain[key]);
  return sorted;
}

/** Formats a value as YAML with sorted keys. */
export function formatSortedYaml(value: unknown): string {
  return formatYaml(sortKeys(value));
}

/** Formats a manifest for `kubectl apply -f -`: a YAML document for each part, with a comment above it. */
export function formatYamlManifest(parts: readonly ManifestPart[]): string {
  return parts
    .map(({ comment, object }) => `${comment === "" ? "" : `# ${nameFlags(comment)}\n`}${formatYaml(object)}`)
    .join("---\n");
}
