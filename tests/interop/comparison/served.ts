/** The kinds that tlsboot itself lists: the rows of the grid. */
import { TLSBOOT_GROUP } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { ServedResource } from "./grid.ts";
import { administer } from "./send.ts";
import type { Side } from "./sides.ts";

/** Reads the resources of every group and version of Kubernetes from discovery. */
export async function readServed(side: Side): Promise<readonly ServedResource[]> {
  const groups = await administer(side, "GET /apis") as { readonly groups: readonly Group[] };
  const paths = [
    "/api/v1",
    ...groups.groups.filter(({ name }) => name !== TLSBOOT_GROUP).flatMap(({ versions }) =>
      versions.map(({ groupVersion }) => `/apis/${groupVersion}`)
    ),
  ];
  const rows: ServedResource[] = [];
  for (const path of paths) {
    const { groupVersion, resources } = await administer(side, `GET ${path}`) as ResourceList;
    const group = groupVersion.includes("/") ? groupVersion.split("/")[0]! : "";
    for (const { name, verbs } of resources) rows.push({ name: group === "" ? name : `${name}.${group}`, verbs });
  }
  return rows;
}

interface Group {
  readonly name: string;
  readonly versions: readonly { readonly groupVersion: string }[];
}

interface ResourceList {
  readonly groupVersion: string;
  readonly resources: readonly { readonly name: string; readonly verbs: readonly string[] }[];
}
