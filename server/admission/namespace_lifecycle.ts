/**
 * NamespaceLifecycle: nothing is created in a namespace that is missing or being terminated
 * (`apiserver/pkg/admission/plugin/namespace/lifecycle`).
 */
import type { Namespace } from "../../core/kube/core_v1.ts";
import { namespaceKind } from "../../core/kube/kinds/mod.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { forbidden, internalError, notFound, StatusError } from "../../core/kube/status.ts";
import type { AdmissionPlugin, MutatingRequest } from "./admission.ts";

/** Namespaces that can never be deleted. */
const IMMORTAL: ReadonlySet<string> = new Set(["default", "kube-system", "kube-public"]);

/** Creates the plugin. It throws StatusError 404 for a missing namespace. */
export function createNamespaceLifecycle(
  deps: { getNamespace(name: string): Promise<Namespace | undefined> },
): AdmissionPlugin {
  return {
    name: "NamespaceLifecycle",
    async mutate(request) {
      const { operation, kind, namespace, object } = request;
      // Access reviews must not reveal which namespaces exist.
      const isExempt = operation !== "CREATE" || namespace === "" || kind.plural === "localsubjectaccessreviews";
      if (isExempt) return { kind: "admitted", object };
      // Upstream asks its own API for the namespace, and client-go refuses to put such a name into a path.
      const faults = pathSegmentNameErrors(namespace);
      if (faults.length > 0) throw internalError(`invalid resource name "${namespace}": [${faults.join(" ")}]`);
      const found = await deps.getNamespace(namespace);
      if (found === undefined) throw notFound(namespaceKind, namespace);
      if (found.status.phase === "Terminating") throw terminating(request);
      return { kind: "admitted", object };
    },
    validate({ operation, kind, name }) {
      const isImmortal = operation === "DELETE" && kind === namespaceKind && IMMORTAL.has(name);
      return Promise.resolve(isImmortal ? { message: "this namespace may not be deleted" } : undefined);
    },
  };
}

/** Creates the 403 with the cause that clients check. */
function terminating({ kind, name, namespace, object }: MutatingRequest): StatusError {
  const { status } = forbidden(
    kind,
    // Admission's name for an object that has none yet (`apiserver/pkg/admission/errors.go`).
    name || object.metadata.generateName || "Unknown",
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  const cause = {
    reason: "NamespaceTerminating",
    message: `namespace ${namespace} is being terminated`,
    field: "metadata.namespace",
  };
  return new StatusError({ ...status, details: { ...status.details, causes: [cause] } });
}
