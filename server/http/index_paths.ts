/** What `/` lists. */
import { documentName } from "../../core/kube/openapi/mod.ts";
import type { DiscoveredGroup } from "./discovered.ts";
import { type HealthCheck, healthPaths } from "./health.ts";

const OTHER_PATHS: readonly string[] = [
  "/api",
  "/apis",
  "/apis/",
  "/metrics",
  "/openapi/v2",
  "/openapi/v3",
  "/openapi/v3/",
  "/version",
];

/** Every path that a client may want to start from, in order. */
export function indexPaths(groups: readonly DiscoveredGroup[], checks: readonly HealthCheck[]): readonly string[] {
  const ofGroups = groups.flatMap((group) => [
    ...(group.group === "" ? [] : [`/apis/${group.group}`]),
    `/${documentName(group)}`,
  ]);
  return [...OTHER_PATHS, ...ofGroups, ...healthPaths(checks)].sort();
}
