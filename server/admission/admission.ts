/**
 * Admission: after authorization and decoding, before the object is stored, plugins may change or refuse a write
 * (`apiserver/pkg/admission`). The mutating phases of all plugins come before validation, the validating phases after
 * it. The plugins are those that kube-apiserver always enables, in its order. TaintNodesByCondition and
 * NamespaceLifecycle are small, so they are in this file.
 */
import { type KubeObject, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import type { Admission, AdmissionPlugin, MutatingRequest } from "../registry/registry.ts";
import type { Storage } from "../storage/storage.ts";
import type { Namespace } from "../../core/kube/kinds/core_v1.ts";
import type { Logger } from "../../core/ports.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import {
  certificateSubjectRestriction,
  createCertificateApproval,
  createCertificateSigning,
  createClusterTrustBundleAttest,
} from "./certificates.ts";
import { createNodeRestriction } from "./node_restriction.ts";
import { namespaceKind, nodeKind } from "../../core/kube/kinds/mod.ts";
import { pathSegmentNameErrors } from "../../core/kube/names.ts";
import { forbidden, internalError, notFound, StatusError } from "../../core/kube/status/status.ts";

/** Runs plugins one after another; the first refusal ends the phase. */
export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  return {
    async mutate(request) {
      let { object } = request;
      for (const plugin of plugins) {
        if (plugin.kinds?.includes(request.kind) === false) continue;
        const answer = plugin.mutate?.({ ...request, object });
        const change = answer instanceof Promise ? await answer : answer;
        if (change === undefined) continue;
        if ("message" in change) return change;
        object = change.object;
      }
      return { object };
    },
    async validate(request) {
      for (const plugin of plugins) {
        if (plugin.kinds?.includes(request.kind) === false) continue;
        const answer = plugin.validate?.(request);
        const refusal = answer instanceof Promise ? await answer : answer;
        if (refusal !== undefined) return refusal;
      }
      return undefined;
    },
  };
}

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
    createNodeRestriction(deps),
    taintNodesByCondition,
    createCertificateApproval(deps),
    createCertificateSigning(deps),
    createClusterTrustBundleAttest(deps),
    certificateSubjectRestriction,
  ];
}

interface TaintedNode extends KubeObject {
  readonly spec?: {
    readonly taints?: readonly Taint[];
    readonly configSource?: unknown;
    readonly externalID?: unknown;
  };
}

interface Taint {
  readonly key: string;
  readonly effect: string;
}

const NOT_READY: Taint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

/**
 * Adds the taint `node.kubernetes.io/not-ready:NoSchedule` to every new node that has none, so that nothing is scheduled on
 * it too early (`plugin/pkg/admission/nodetaint`). The node lifecycle controller of a cluster removes the taint.
 */
export const taintNodesByCondition: AdmissionPlugin = {
  name: "TaintNodesByCondition",
  kinds: [nodeKind],
  mutate: ({ operation, subresource, object }) =>
    operation === "CREATE" && subresource === "" ? { object: withTaint(object) } : undefined,
};

function withTaint(node: TaintedNode): KubeObject {
  const { taints = [], configSource, externalID, ...rest } = node.spec ?? {};
  if (taints.some(({ key, effect }) => key === NOT_READY.key && effect === NOT_READY.effect)) return node;
  // Go's JSON has these two fields after the taints.
  const spec = {
    ...rest,
    taints: [...taints, NOT_READY],
    ...(configSource === undefined ? {} : { configSource }),
    ...(externalID === undefined ? {} : { externalID }),
  };
  const { metadata, spec: _spec, ...others } = node;
  return { metadata, spec, ...others } as KubeObject;
}

/** Namespaces that can never be deleted. */
const IMMORTAL: ReadonlySet<string> = new Set(["default", SYSTEM_NAMESPACE, "kube-public"]);

/**
 * Creates NamespaceLifecycle: nothing is created in a namespace that is missing or being terminated
 * (`apiserver/pkg/admission/plugin/namespace/lifecycle`). It throws StatusError 404 for a missing namespace.
 */
export function createNamespaceLifecycle(
  deps: { getNamespace(name: string): Promise<Namespace | undefined> },
): AdmissionPlugin {
  async function assertActive(request: MutatingRequest): Promise<undefined> {
    const { namespace } = request;
    // Upstream reads the namespace from its own API, and client-go refuses to put such a name into a path.
    const faults = pathSegmentNameErrors(namespace);
    if (faults.length > 0) throw internalError(`invalid resource name "${namespace}": [${faults.join(" ")}]`);
    const found = await deps.getNamespace(namespace);
    if (found === undefined) throw notFound(namespaceKind, namespace);
    if (found.status.phase === "Terminating") throw createTerminatingError(request);
  }
  return {
    name: "NamespaceLifecycle",
    mutate(request) {
      const { operation, kind, namespace } = request;
      // Access reviews must not reveal which namespaces exist.
      const isExempt = operation !== "CREATE" || namespace === "" || kind.plural === "localsubjectaccessreviews";
      return isExempt ? undefined : assertActive(request);
    },
    validate({ operation, kind, name }) {
      const isImmortal = operation === "DELETE" && kind === namespaceKind && IMMORTAL.has(name);
      return isImmortal ? { message: "this namespace may not be deleted" } : undefined;
    },
  };
}

/** Creates the 403 with the cause that clients check. */
function createTerminatingError({ kind, name, namespace, object }: MutatingRequest): StatusError {
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
