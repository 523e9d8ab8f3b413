/** Objects as a manifest for `kubectl apply -f -`, each with a comment that says what it is for. */
import { formatYaml } from "../../core/kube/codec/yaml.ts";
import type { ManifestPart } from "../../core/rbac/manifest.ts";

/** YAML documents in the order of the parts. */
export function formatYamlManifest(parts: readonly ManifestPart[]): string {
  return parts
    .map(({ comment, object }) => `${comment === "" ? "" : `# ${comment}\n`}${formatYaml(object)}`)
    .join("---\n");
}
