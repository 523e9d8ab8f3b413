/**
 * kube-apiserver's suggested priority levels and flow schemas (`apiserver/pkg/apis/flowcontrol/bootstrap/default.go`). They
 * are built in; there is no API to change them. Each level has a number of seats, which are the requests that are served at
 * the same time (`apiserver/pkg/util/flowcontrol/apf_controller.go`, `NominalConcurrencyLimit` and borrowing).
 */
import {
  CONTROLLER_MANAGER_USER,
  MASTERS_GROUP,
  NODES_GROUP,
  SCHEDULER_USER,
  SERVICE_ACCOUNTS_GROUP,
  toAccountUsername,
  type UserInfo,
} from "../../core/kube/user.ts";
import { PROBE_PATHS, type RequestInfo } from "../http/request_info.ts";

/** The name of a priority level with a limit. */
export type LevelName =
  | "leader-election"
  | "node-high"
  | "system"
  | "workload-high"
  | "workload-low"
  | "global-default";

export interface PriorityLevel {
  /** The level's part of all seats, in proportion to the shares of the other levels. */
  readonly shares: number;
  /** The fraction of its seats that other levels may borrow while they are free. */
  readonly lendable: number;
  /** The largest number of waiting requests: Kubernetes' number of queues times their length. */
  readonly queueLimit: number;
}

export const LEVELS: Readonly<Record<LevelName, PriorityLevel>> = {
  "leader-election": { shares: 10, lendable: 0, queueLimit: 16 * 50 },
  "node-high": { shares: 40, lendable: 0.25, queueLimit: 64 * 50 },
  "system": { shares: 30, lendable: 0.33, queueLimit: 64 * 50 },
  "workload-high": { shares: 40, lendable: 0.5, queueLimit: 128 * 50 },
  "workload-low": { shares: 100, lendable: 0.9, queueLimit: 128 * 50 },
  "global-default": { shares: 20, lendable: 0.5, queueLimit: 128 * 50 },
};

/** The names of the levels, in the order in which they get a free seat. */
export const LEVEL_NAMES: readonly LevelName[] = Object.keys(LEVELS) as LevelName[];

/** The priority level and the flow of a request. */
export interface Place {
  readonly level: LevelName;
  /** Requests of one flow wait in line, and flows take turns. */
  readonly flow: string;
}

const KUBE_SYSTEM_ACCOUNT = toAccountUsername("kube-system", "");
const LEASE_VERBS: ReadonlySet<string> = new Set(["get", "create", "update"]);

/** Finds the place of a request; undefined for requests that never wait: those of administrators, and health checks. */
export function findPlace({ username, groups }: UserInfo, info: RequestInfo): Place | undefined {
  if (groups.includes(MASTERS_GROUP)) return undefined;
  if (!info.isResourceRequest && info.verb === "get" && PROBE_PATHS.includes(info.path)) return undefined;
  const isKubeSystemAccount = username.startsWith(KUBE_SYSTEM_ACCOUNT);
  const isComponent = username === CONTROLLER_MANAGER_USER || username === SCHEDULER_USER;
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
  if (groups.includes(SERVICE_ACCOUNTS_GROUP)) return { level: "workload-low", flow: `service-accounts/${username}` };
  return { level: "global-default", flow: `global-default/${username}` };
}

function isLease({ apiGroup, resource, subresource, namespace }: RequestInfo): boolean {
  return apiGroup === "coordination.k8s.io" && resource === "leases" && subresource === "" && namespace !== "";
}

function isNode({ apiGroup, resource, subresource, isResourceRequest }: RequestInfo): boolean {
  return isResourceRequest && apiGroup === "" && resource === "nodes" &&
    (subresource === "" || subresource === "status");
}

export interface LevelSeats {
  readonly nominal: number;
  /** The number of these seats that the level never lends; at least one. */
  readonly kept: number;
}

export interface Seats {
  readonly total: number;
  readonly of: Readonly<Record<LevelName, LevelSeats>>;
}

export function planSeats(total: number): Seats {
  const allShares = LEVEL_NAMES.reduce((sum, name) => sum + LEVELS[name].shares, 0);
  const of = Object.fromEntries(LEVEL_NAMES.map((name) => {
    const { shares, lendable } = LEVELS[name];
    const nominal = Math.ceil(total * shares / allShares);
    return [name, { nominal, kept: Math.max(1, nominal - Math.round(nominal * lendable)) }];
  })) as Record<LevelName, LevelSeats>;
  return { total, of };
}

/**
 * Whether a seat is free for one more request of a level: one that the level never lends, or one that is neither occupied
 * nor kept by another level. A level that has lent a seat waits for it, so that never more requests are served than there
 * are seats.
 */
export function hasFreeSeat(seats: Seats, seated: Readonly<Record<LevelName, number>>, level: LevelName): boolean {
  if (seated[level] < seats.of[level].kept) return true;
  let taken = 0;
  for (const name of LEVEL_NAMES) {
    taken += name === level ? seated[name] : Math.max(seated[name], seats.of[name].kept);
  }
  return taken < seats.total;
}
