/**
 * Kinds that have no objects here, but that standard tools list (decision 11). They are read-only and in no discovery
 * document: a list is empty, and a watch reports nothing. If a kube-apiserver that shares the store has such objects,
 * this API answers 404, as for any kind that it does not serve. But certificates and tokens may be for pods, so the
 * pods of such a kube-apiserver are read here (decision 38).
 */
import { clusterWide, describeVersion } from "../../core/kube/kinds/kind.ts";
import { podKind } from "../../core/kube/kinds/mod.ts";
import { pathNotFound } from "../../core/kube/status/status.ts";
import type { Kind } from "../../core/kube/schema.ts";
import type { Storage } from "../storage/storage.ts";
import { ageColumn, nameColumn, READ_VERBS, type Resource } from "./resource.ts";
import { toKeyPrefix, toStorageKey } from "./registry.ts";
import type { Pod } from "../../core/kube/kinds/core_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";

/** Creates the resource of a kind that has no objects. */
function createAbsentResource(kind: Kind, rest: Pick<Resource, "storageName" | "selectableFields">): Resource {
  return {
    kind,
    verbs: READ_VERBS,
    isHidden: true,
    isAbsent: true,
    columns: [nameColumn, ageColumn],
    strategy: {},
    ...rest,
  };
}

/** `kubectl describe node` and `kubectl drain` list the pods of a node, and kubelets watch them. */
const pods = createAbsentResource(podKind, {
  // `pkg/apis/core/v1/conversion.go`
  selectableFields: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
    "spec.host",
  ],
});

/** kubectl since 1.27 lists custom resource definitions to validate the fields of a kind that cannot be patched. */
const { kind } = describeVersion(
  "apiextensions.k8s.io",
  "v1",
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
);
const customResourceDefinitions = createAbsentResource(
  kind(
    "CustomResourceDefinition",
    { ...clusterWide("crd", "crds"), categories: ["api-extensions"] },
    "A kind that was added to the API.",
    {},
  ),
  { storageName: "apiextensions.k8s.io/customresourcedefinitions", selectableFields: [] },
);

/** Every resource that is served but has no objects. */
export const ABSENT_RESOURCES: readonly Resource[] = [pods, customResourceDefinitions];

/**
 * Throws StatusError 404 when the store holds an object of the kind, because the object could not be served completely.
 */
export async function assertAbsent(storage: Pick<Storage, "list">, resource: Resource): Promise<void> {
  const { items } = await storage.list(toKeyPrefix(resource, ""), { limit: 1 });
  if (items.length > 0) throw pathNotFound();
}

/** Reads the fields of a pod that its schema describes; undefined when the pod is missing or cannot be decoded. */
export async function findPod(
  storage: Pick<Storage, "get">,
  namespace: string,
  name: string,
): Promise<Pod | undefined> {
  const stored = (await storage.get(toStorageKey({ kind: podKind }, namespace, name)))?.object;
  return stored !== undefined && isPod(stored) ? stored : undefined;
}

/** Whether an object below the prefix of pods could be decoded. */
function isPod(object: KubeObject): object is Pod {
  return "spec" in object;
}
