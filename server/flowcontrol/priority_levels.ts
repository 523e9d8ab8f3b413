/**
 * Who is served before whom: kube-apiserver's suggested priority levels and flow schemas
 * (`apiserver/pkg/apis/flowcontrol/bootstrap/default.go`). They are built in; there is no API to change them.
 */
import { MASTERS_GROUP, NODES_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { RequestInfo } from "../http/request_info.ts";

/** Name of a level with a limit. */
export type LevelName =
  | "leader-election"
  | "node-high"
  | "system"
  | "workload-high"
  | "workload-low"
  | "global-default";

/** What a level gets. */
export interface PriorityLevel {
  /** Of all seats, in proportion to those of the other levels. */
  readonly shares: number;
  /** How much of its seats others may use while it does not, as a fraction. */
  readonly lendable: number;
  /** How many of its requests may wait: Kubernetes' queues times their length. */
  readonly queueLimit: number;
}

/** The levels. */
export const LEVELS: Readonly<Record<LevelName, PriorityLevel>> = {
  "leader-election": { shares: 10, lendable: 0, queueLimit: 16 * 50 },
  "node-high": { shares: 40, lendable: 0.25, queueLimit: 64 * 50 },
  "system": { shares: 30, lendable: 0.33, queueLimit: 64 * 50 },
  "workload-high": { shares: 40, lendable: 0.5, queueLimit: 128 * 50 },
  "workload-low": { shares: 100, lendable: 0.9, queueLimit: 128 * 50 },
  "global-default": { shares: 20, lendable: 0.5, queueLimit: 128 * 50 },
};

/** The levels in the order in which they are asked when a seat is free. */
export const LEVEL_NAMES: readonly LevelName[] = Object.keys(LEVELS) as LevelName[];

/** Where a request belongs. */
export interface Place {
  readonly level: LevelName;
  /** Requests of one flow wait for one another; flows take turns. */
  readonly flow: string;
}

const SERVICE_ACCOUNTS = "system:serviceaccounts";
const KUBE_SYSTEM_ACCOUNT = "system:serviceaccount:kube-system:";
const CONTROLLER_MANAGER = "system:kube-controller-manager";
const SCHEDULER = "system:kube-scheduler";
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/livez"]);
const LEASE_VERBS: ReadonlySet<string> = new Set(["get", "create", "update"]);

/** The place of a request; undefined for one that never waits: an administrator's, and health checks. */
export function placeOf({ username, groups }: UserInfo, info: RequestInfo): Place | undefined {
  if (groups.includes(MASTERS_GROUP)) return undefined;
  if (!info.isResourceRequest && info.verb === "get" && PROBES.has(info.path)) return undefined;
  const isKubeSystemAccount = username.startsWith(KUBE_SYSTEM_ACCOUNT);
  const isComponent = username === CONTROLLER_MANAGER || username === SCHEDULER;
  if ((isComponent || isKubeSystemAccount) && isLease(info) && LEASE_VERBS.has(info.verb)) {
    return { level: "leader-election", flow: `system-leader-election/${username}` };
  }
  if (groups.includes(NODES_GROUP)) {
    return isLease(info) || isNode(info)
      ? { level: "node-high", flow: `system-node-high/${username}` }
      : { level: "system", flow: `system-nodes/${username}` };
  }
  if (isComponent) return { level: "workload-high", flow: `${username.slice("system:".length)}/${info.namespace}` };
  if (isKubeSystemAccount) {
    return { level: "workload-high", flow: `kube-system-service-accounts/${info.namespace}` };
  }
  if (groups.includes(SERVICE_ACCOUNTS)) return { level: "workload-low", flow: `service-accounts/${username}` };
  return { level: "global-default", flow: `global-default/${username}` };
}

function isLease({ apiGroup, resource, subresource, namespace }: RequestInfo): boolean {
  return apiGroup === "coordination.k8s.io" && resource === "leases" && subresource === "" && namespace !== "";
}

function isNode({ apiGroup, resource, subresource, isResourceRequest }: RequestInfo): boolean {
  return isResourceRequest && apiGroup === "" && resource === "nodes" &&
    (subresource === "" || subresource === "status");
}
