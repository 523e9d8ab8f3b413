/** Manifests for `kubectl apply -f -`, in which each object has a comment that explains it. */
import { formatYaml } from "../../core/lib/yaml/format.ts";
import type { ManifestPart } from "../../core/rbac/manifest.ts";

/** Formats the parts as YAML documents, in their order. */
export function formatYamlManifest(parts: readonly ManifestPart[]): string {
  return parts
    .map(({ comment, object }) => `${comment === "" ? "" : `# ${comment}\n`}${formatYaml(object)}`)
    .join("---\n");
}
