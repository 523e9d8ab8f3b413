/** The rights of a signer as YAML, each part with a comment that says what it is for. */
import { formatYaml } from "../../core/kube/codec/yaml.ts";
import { signerManifest, type SignerRbacOptions } from "../../core/signing/rbac.ts";

/** A manifest for `kubectl apply -f -`. */
export function formatSignerManifest(options: SignerRbacOptions): string {
  return signerManifest(options)
    .map(({ comment, object }) => `${comment === "" ? "" : `# ${comment}\n`}${formatYaml(object)}`)
    .join("---\n");
}
