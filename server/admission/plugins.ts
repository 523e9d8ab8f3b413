/** The admission plugins that are always enabled, in kube-apiserver's order (`pkg/kubeapiserver/options/plugins.go`). */
import type { Namespace } from "../../core/kube/core_v1.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { Storage } from "../storage/storage.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { certificateSubjectRestriction, createCertificateApproval, createCertificateSigning } from "./certificates.ts";
import { createNamespaceLifecycle } from "./namespace_lifecycle.ts";
import { nodeRestriction } from "./node_restriction.ts";
import { taintNodesByCondition } from "./taint_nodes.ts";

/** Creates the admission plugins that are always enabled. */
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
        // Every object under this prefix passed the strategy of namespaces.
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
