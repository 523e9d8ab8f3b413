/** Recognizes requests for served paths, because only those become labels of metrics. */
import type { RequestInfo } from "./request_info.ts";
import type { Served } from "./resource_handler.ts";
import { SNAPSHOT_PATH } from "./snapshot.ts";

/** Creates the check whether a request is for a served resource or another served path. */
export function createServedCheck({ resources, reviews }: Served): (info: RequestInfo) => boolean {
  const createKey = (group: string, version: string, resource: string, sub = "") =>
    [group, version, resource, sub].join("/");
  const known = new Set([
    ...reviews.map(({ kind }) => createKey(kind.group, kind.version, kind.plural)),
    ...resources.flatMap(({ kind: { group, version, plural }, subresources }) => [
      createKey(group, version, plural),
      ...subresources.map(({ name }) => createKey(group, version, plural, name)),
    ]),
  ]);
  return ({ isResourceRequest, path, apiGroup, apiVersion, resource, subresource }) =>
    isResourceRequest
      ? known.has(createKey(apiGroup, apiVersion, resource, subresource))
      : ["/healthz", "/livez", "/readyz", "/version", "/metrics", SNAPSHOT_PATH].includes(path);
}
