/** Which requests are about something that exists here: only those make labels of metrics. */
import type { RequestInfo } from "./request_info.ts";
import type { Served } from "./resource_handler.ts";
import { SNAPSHOT_PATH } from "./snapshot.ts";

/** Tells whether a request is about something that exists here, or a health check. */
export function servedPaths({ resources, reviews }: Served): (info: RequestInfo) => boolean {
  const keyOf = (group: string, version: string, resource: string, sub = "") =>
    [group, version, resource, sub].join("/");
  const known = new Set([
    ...reviews.map(({ kind }) => keyOf(kind.group, kind.version, kind.plural)),
    ...resources.flatMap(({ kind: { group, version, plural }, subresources }) => [
      keyOf(group, version, plural),
      ...subresources.map(({ name }) => keyOf(group, version, plural, name)),
    ]),
  ]);
  return ({ isResourceRequest, path, apiGroup, apiVersion, resource, subresource }) =>
    isResourceRequest
      ? known.has(keyOf(apiGroup, apiVersion, resource, subresource))
      : ["/healthz", "/livez", "/readyz", "/version", "/metrics", SNAPSHOT_PATH].includes(path);
}
