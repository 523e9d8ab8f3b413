/** The content of namespaces over a transport: discovery, deletion of collections, lists. */
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Transport } from "../../core/ports.ts";
import { type ApiClient, createApiClient, listAll } from "../../client/objects/api.ts";
import type { NamespaceContent, NamespacedResource } from "../../controllers/namespace_controller.ts";
import type { StoreContents } from "../../server/storage/etcd/contents.ts";
import type { ControllerDeps } from "./deps.ts";

/** The fields of an APIResourceList that are read. */
interface ResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
  }[];
}

/** The fields of an APIGroupList that are read. */
interface GroupList {
  readonly groups?: readonly { readonly preferredVersion?: { readonly groupVersion: string } }[];
}

/** Creates the access over a transport. `contents` has the objects of a shared store that this API does not serve. */
export function createNamespaceContent(
  transport: Transport,
  contents: StoreContents | undefined,
  deps: ControllerDeps,
): NamespaceContent {
  const api = createApiClient(transport, deps);
  return {
    resources: (signal) => discover(api, signal),
    async deleteCollection(resource, namespace, signal) {
      const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background" };
      await api.requestJson({ method: "DELETE", path: toCollectionPath(resource, namespace), body }, signal);
    },
    list: async (resource, namespace, signal) =>
      (await listAll<KubeObject>(api, toCollectionPath(resource, namespace), {}, signal)).items,
    async stored(namespace) {
      const collections = await contents?.collections() ?? [];
      const counted = collections.map(async ({ prefix, group, resource }) => ({
        group,
        resource,
        count: await contents?.count(`${prefix}${namespace}/`) ?? 0,
      }));
      return (await Promise.all(counted)).filter(({ count }) => count > 0);
    },
  };
}

/** Lists the resources in the preferred version of every group, as client-go's `ServerPreferredNamespacedResources`. */
async function discover(api: ApiClient, signal: AbortSignal): Promise<readonly NamespacedResource[]> {
  const read = (path: string) => api.requestJson({ method: "GET", path }, signal);
  // Discovery documents have the form that Kubernetes guarantees; any other answer fails below.
  const { groups = [] } = await read("/apis") as GroupList;
  const named = groups.flatMap(({ preferredVersion }) => preferredVersion?.groupVersion ?? []);
  const found = ["v1", ...named].map(async (groupVersion) => {
    const [group, version] = groupVersion.includes("/") ? groupVersion.split("/") : ["", groupVersion];
    const { resources = [] } = await read(toGroupPath(group ?? "", version ?? "")) as ResourceList;
    return resources
      .filter(({ namespaced, verbs }) => namespaced && verbs.includes("deletecollection"))
      .map(({ name }) => ({ group: group ?? "", version: version ?? "", resource: name }));
  });
  return (await Promise.all(found)).flat();
}

function toGroupPath(group: string, version: string): string {
  return group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
}

function toCollectionPath({ group, version, resource }: NamespacedResource, namespace: string): string {
  return `${toGroupPath(group, version)}/namespaces/${encodeURIComponent(namespace)}/${resource}`;
}
