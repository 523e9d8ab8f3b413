/** Every resource that can be written, from the server's discovery documents. */
import type { Callers } from "./callers.ts";
import { MASTERS } from "./identities.ts";

/** A resource or subresource with verbs that write. */
export interface Route {
  /** The resource and its group, such as `csinodes.storage.k8s.io` or `nodes/status`; core has no group. */
  readonly key: string;
  /** The root of the API group: `/api/v1` or `/apis/<group>/<version>`. */
  readonly root: string;
  readonly plural: string;
  readonly subresource: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

const WRITES: readonly string[] = ["create", "update", "patch", "delete", "deletecollection"];

/** Reads the routes from the server's discovery documents. */
export async function readRoutes(callers: Callers): Promise<readonly Route[]> {
  const read = async <T>(path: string): Promise<T> => {
    const { code, text } = await callers.call(MASTERS, { method: "GET", path });
    if (code !== 200) throw new Error(`GET ${path}: ${code} ${text}`);
    return JSON.parse(text) as T;
  };
  const { groups } = await read<{ groups: readonly { versions: readonly { groupVersion: string }[] }[] }>("/apis");
  const roots = ["/api/v1", ...groups.flatMap(({ versions }) => versions.map((one) => `/apis/${one.groupVersion}`))];
  const routes: Route[] = [];
  for (const root of roots) {
    const { resources } = await read<{ resources: readonly DiscoveredResource[] }>(root);
    for (const { name, namespaced, verbs } of resources) {
      const written = verbs.filter((verb) => WRITES.includes(verb));
      const [plural = "", subresource = ""] = name.split("/");
      if (written.length > 0) {
        routes.push({
          key: toRouteKey(root, plural, subresource),
          root,
          plural,
          subresource,
          namespaced,
          verbs: written,
        });
      }
    }
  }
  return routes;
}

/** Returns the path of a resource's collection. */
export function toCollectionRoute({ root, plural }: Route, namespace: string | undefined): string {
  return `${root}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}`;
}

interface DiscoveredResource {
  readonly name: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

function toRouteKey(root: string, plural: string, subresource: string): string {
  const group = root.startsWith("/apis/") ? `.${root.split("/")[2]}` : "";
  return `${plural}${group}${subresource === "" ? "" : `/${subresource}`}`;
}
