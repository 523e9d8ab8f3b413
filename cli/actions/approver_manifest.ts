/** The rights of an approver as YAML, each part with a comment that says what it is for. */
import { approverManifest, approverRbac, type ApproverRbacOptions } from "../../core/approval/rbac.ts";
import { formatYaml } from "../../core/kube/codec/yaml.ts";

/** A manifest for `kubectl apply -f -`. */
export function formatApproverManifest(options: ApproverRbacOptions): string {
  return approverManifest(approverRbac(options))
    .map(({ comment, object }) => `${comment === "" ? "" : `# ${comment}\n`}${formatYaml(object)}`)
    .join("---\n");
}
