/** The admission plugins that are always on, in kube-apiserver's order (`pkg/kubeapiserver/options/plugins.go`). */
import type { Namespace } from "../../core/kube/core_v1.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { Storage } from "../storage/storage.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { createCertificateApproval } from "./certificate_approval.ts";
import { createCertificateSigning } from "./certificate_signing.ts";
import { certificateSubjectRestriction } from "./certificate_subject_restriction.ts";
import { createNamespaceLifecycle } from "./namespace_lifecycle.ts";
import { nodeRestriction } from "./node_restriction.ts";
import { taintNodesByCondition } from "./taint_nodes.ts";

/** Builds them all. */
export function createDefaultPlugins(
  deps: {
    readonly authorizer: Pick<Authorizer, "authorize">;
    readonly storage: Pick<Storage, "get">;
    readonly logger: Logger;
  },
): readonly AdmissionPlugin[] {
  return [
    createNamespaceLifecycle({
      async getNamespace(name) {
        const stored = await deps.storage.get(`/registry/namespaces/${name}`);
        // What lies under this prefix passed the strategy of namespaces.
        return stored?.object as Namespace | undefined;
      },
    }),
    nodeRestriction,
    taintNodesByCondition,
    createCertificateApproval(deps),
    createCertificateSigning(deps),
    certificateSubjectRestriction,
  ];
}
