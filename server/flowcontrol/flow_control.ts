/**
 * Priority levels, their seats, and a queue for each level (`apiserver/pkg/util/flowcontrol`). A request that waits too
 * long, or finds its queue full, is refused and may be retried. The levels are kube-apiserver's suggested ones
 * (`apiserver/pkg/apis/flowcontrol/bootstrap/default.go`); there is no API to change them.
 */
import { SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { nodeAttestationKind } from "../../core/kube/kinds/mod.ts";
import { toClientNetwork } from "../../core/lib/ip_address.ts";
import type { Clock } from "../../core/ports.ts";
import { LARGE_BODY_BYTES } from "../http/limits.ts";
import { PROBE_PATHS, type RequestInfo } from "../http/request_info.ts";
import { createBodyBudget, type HeldBody } from "./body_budget.ts";
import { AppError } from "../../core/errors.ts";
import {
  CONTROLLER_MANAGER_USER,
  MASTERS_GROUP,
  NODES_GROUP,
  SCHEDULER_USER,
  SERVICE_ACCOUNTS_GROUP,
  toAccountUsername,
  type UserInfo,
} from "../../core/kube/user.ts";

/** The name of a priority level with a limit. */
export type LevelName =
  | "leader-election"
  | "node-high"
  | "system"
  | "workload-high"
  | "workload-low"
  | "global-default"
  | "node-attestation";

interface PriorityLevel {
  /** The level's share of all seats, relative to the shares of the other levels. */
  readonly shares: number;
  /** The fraction of its seats that other levels may borrow while they are free. */
  readonly lendable: number;
  /** The largest number of waiting requests: Kubernetes' number of queues times their length. */
  readonly queueLimit: number;
}

const LEVELS: Readonly<Record<LevelName, PriorityLevel>> = {
  "leader-election": { shares: 10, lendable: 0, queueLimit: 16 * 50 },
  "node-high": { shares: 40, lendable: 0.25, queueLimit: 64 * 50 },
  "system": { shares: 30, lendable: 0.33, queueLimit: 64 * 50 },
  "workload-high": { shares: 40, lendable: 0.5, queueLimit: 128 * 50 },
  "workload-low": { shares: 100, lendable: 0.9, queueLimit: 128 * 50 },
  "global-default": { shares: 20, lendable: 0.5, queueLimit: 128 * 50 },
  // This level is not in Kubernetes, and has the shares of Kubernetes' catch-all level. Machines that prove their
  // identity are unauthenticated.
  "node-attestation": { shares: 5, lendable: 0.5, queueLimit: 8 * 50 },
};

/** The names of the levels, in the order in which they are offered a free seat. */
export const LEVEL_NAMES: readonly LevelName[] = Object.keys(LEVELS) as LevelName[];

/** The priority level and the flow of a request. */
export interface Place {
  readonly level: LevelName;
  /** Requests of one flow wait in line, and flows take turns. */
  readonly flow: string;
}

const KUBE_SYSTEM_ACCOUNT = toAccountUsername(SYSTEM_NAMESPACE, "");
const LEASE_VERBS: ReadonlySet<string> = new Set(["get", "create", "update"]);

/**
 * Finds the place of a request from an address; undefined for requests that never wait, which are those of
 * administrators and health checks.
 */
export function findPlace({ username, groups }: UserInfo, info: RequestInfo, address: string): Place | undefined {
  if (groups.includes(MASTERS_GROUP)) return undefined;
  if (!info.isResourceRequest && info.verb === "get" && PROBE_PATHS.includes(info.path)) return undefined;
  if (isNodeAttestation(info)) {
    return { level: "node-attestation", flow: `node-attestation/${toClientNetwork(address)}` };
  }
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

function isNodeAttestation({ apiGroup, resource, isResourceRequest }: RequestInfo): boolean {
  return isResourceRequest && apiGroup === nodeAttestationKind.group && resource === nodeAttestationKind.plural;
}

function isNode({ apiGroup, resource, subresource, isResourceRequest }: RequestInfo): boolean {
  return isResourceRequest && apiGroup === "" && resource === "nodes" &&
    (subresource === "" || subresource === "status");
}

/**
 * The seats of a level: how many of its requests are served at the same time
 * (`apiserver/pkg/util/flowcontrol/apf_controller.go`, `NominalConcurrencyLimit` and borrowing).
 */
export interface LevelSeats {
  readonly nominal: number;
  /** The number of nominal seats that the level never lends; at least one. */
  readonly kept: number;
}

export interface Seats {
  readonly total: number;
  readonly byLevel: Readonly<Record<LevelName, LevelSeats>>;
}

export function planSeats(total: number): Seats {
  const allShares = LEVEL_NAMES.reduce((sum, name) => sum + LEVELS[name].shares, 0);
  const byLevel = Object.fromEntries(LEVEL_NAMES.map((name) => {
    const { shares, lendable } = LEVELS[name];
    const nominal = Math.ceil(total * shares / allShares);
    return [name, { nominal, kept: Math.max(1, nominal - Math.round(nominal * lendable)) }];
  })) as Record<LevelName, LevelSeats>;
  return { total, byLevel };
}

/**
 * Whether a seat is free for one more request of a level: a seat that the level never lends, or one that is neither
 * occupied nor kept by another level. A level that has lent a seat waits for its return, so there are never more
 * requests than seats.
 */
export function hasFreeSeat(seats: Seats, seated: Readonly<Record<LevelName, number>>, level: LevelName): boolean {
  if (seated[level] < seats.byLevel[level].kept) return true;
  let taken = 0;
  for (const name of LEVEL_NAMES) {
    taken += name === level ? seated[name] : Math.max(seated[name], seats.byLevel[name].kept);
  }
  return taken < seats.total;
}

/** The seat that a request occupies while it is served, and its body in memory. */
export interface Seat {
  /**
   * Gives up the seat while the server waits for the client, so that a slow client delays no other request. A large
   * body then also waits until no other large body of the same flow is being served. Throws OverloadError when the wait
   * for that or for a free seat is too long, or when the body was evicted.
   */
  yieldWhile<T>(wait: () => Promise<T>): Promise<T>;
  /** Adds bytes of the body that are held in memory. */
  holdBytes(bytes: number): void;
  /** Frees the seat and the bytes of the body, because the request has been served. */
  release(): void;
}

/** The state of one priority level, for metrics. */
export interface LevelFigures {
  readonly executing: number;
  readonly waiting: number;
  readonly seats: number;
}

/** Decides when each request is served. */
export interface FlowControl {
  /** Takes a seat, and waits for one when none is free. The signal ends the wait. Throws OverloadError. */
  acquireSeat(place: Place, signal: () => AbortSignal): Promise<Seat>;
  figures(): Readonly<Record<LevelName, LevelFigures>>;
}

/** Dependencies and limits of flow control. */
export interface FlowControlOptions {
  readonly clock: Clock;
  /** The number of requests that are served at the same time: the sum of kube-apiserver's two flags. */
  readonly seats: number;
  readonly onRejected?: (place: Place, reason: RejectReason) => void;
}

/** A quarter of the request timeout, as in kube-apiserver. */
const MAX_WAIT_MS = 15_000;
/** The budget for the bodies of all requests: 42 bodies of the largest size. */
const MAX_BODY_BYTES_HELD = 128 * 1_048_576;

interface Waiting extends Place {
  /** Ends the wait: with a seat, or with a rejection if there is a reason for one. */
  settle(reason: RejectReason | undefined): void;
}

/** Creates flow control with every seat free. */
export function createFlowControl(options: FlowControlOptions): FlowControl {
  return new SeatedFlowControl(options);
}

class SeatedFlowControl implements FlowControl {
  readonly #clock: Clock;
  readonly #onRejected: FlowControlOptions["onRejected"];
  readonly #seats: Seats;
  readonly #seated = createLevelRecord(() => 0);
  readonly #queues = createLevelRecord((name) => new FlowQueue<Waiting>(LEVELS[name].queueLimit));
  /** The flows whose large body is being served, each with the requests that wait for it. */
  readonly #large = new Map<string, FlowQueue<Waiting>>();
  readonly #budget = createBodyBudget(MAX_BODY_BYTES_HELD);

  constructor({ clock, seats, onRejected }: FlowControlOptions) {
    this.#clock = clock;
    this.#seats = planSeats(seats);
    this.#onRejected = onRejected;
  }

  async acquireSeat(place: Place, signal: () => AbortSignal): Promise<Seat> {
    await this.#takeSeat(place, signal);
    const body = this.#budget.open();
    let isSeated = true;
    let isLarge = false;
    return {
      yieldWhile: async (step) => {
        isSeated = false;
        this.#freeSeat(place.level);
        const evicted = Promise.withResolvers<never>();
        body.onEvicted(() => evicted.reject(this.#reject(place, "queue-full")));
        const result = await Promise.race([step(), evicted.promise]);
        if (body.isEvicted) throw new OverloadError("queue-full");
        if (body.bytes >= LARGE_BODY_BYTES) {
          await this.#beginLarge(place, signal, body);
          isLarge = true;
        }
        const turn = this.#takeSeat(place, signal, body);
        if (turn !== undefined) await turn;
        isSeated = true;
        // The body may have been evicted after the seat was granted.
        if (body.isEvicted) throw this.#reject(place, "queue-full");
        body.pin();
        return result;
      },
      holdBytes: (bytes) => body.grow(bytes),
      release: () => {
        body.release();
        if (isSeated) this.#freeSeat(place.level);
        isSeated = false;
        if (isLarge) this.#endLarge(place.flow);
        isLarge = false;
      },
    };
  }

  figures(): Readonly<Record<LevelName, LevelFigures>> {
    return createLevelRecord((name) => ({
      executing: this.#seated[name],
      waiting: this.#queues[name].size,
      seats: this.#seats.byLevel[name].nominal,
    }));
  }

  /**
   * Takes a seat at once if no request of the level waits and a seat is free; otherwise returns a promise of a seat.
   */
  #takeSeat(place: Place, signal: () => AbortSignal, body?: HeldBody): Promise<void> | undefined {
    const { level } = place;
    if (this.#queues[level].size > 0 || !hasFreeSeat(this.#seats, this.#seated, level)) {
      return this.#wait(this.#queues[level], place, signal(), body);
    }
    this.#seated[level]++;
    return undefined;
  }

  /** Waits until no other large body of the flow is served. */
  async #beginLarge(place: Place, signal: () => AbortSignal, body: HeldBody): Promise<void> {
    const waiting = this.#large.get(place.flow);
    if (waiting !== undefined) return await this.#wait(waiting, place, signal(), body);
    // The body budget limits how many requests wait.
    this.#large.set(place.flow, new FlowQueue(Infinity));
  }

  #endLarge(flow: string): void {
    const next = this.#large.get(flow)?.take();
    if (next === undefined) this.#large.delete(flow);
    else next.settle(undefined);
  }

  async #wait(queue: FlowQueue<Waiting>, place: Place, signal: AbortSignal, body?: HeldBody): Promise<void> {
    if (signal.aborted) throw this.#reject(place, "cancelled");
    const { promise, resolve, reject: fail } = Promise.withResolvers<void>();
    const done = new AbortController();
    const waiting: Waiting = {
      ...place,
      settle: (reason) => reason === undefined ? resolve() : fail(this.#reject(place, reason)),
    };
    const stopWaiting = (reason: RejectReason): void => {
      if (queue.remove(waiting)) waiting.settle(reason);
    };
    const cancel = (): void => stopWaiting("cancelled");
    signal.addEventListener("abort", cancel, { once: true });
    body?.onEvicted(() => stopWaiting("queue-full"));
    this.#clock.sleep(MAX_WAIT_MS, done.signal)
      .then(() => stopWaiting("time-out"), () => undefined);
    queue.add(waiting)?.settle("queue-full");
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", cancel);
      done.abort(new Error("no longer waiting"));
    }
  }

  #reject(place: Place, reason: RejectReason): OverloadError {
    this.#onRejected?.(place, reason);
    return new OverloadError(reason);
  }

  #freeSeat(level: LevelName): void {
    this.#seated[level]--;
    // A level that has lent a seat gets one back before another level borrows.
    for (const name of LEVEL_NAMES) this.#seatWaiting(name, this.#seats.byLevel[name].nominal);
    for (const name of LEVEL_NAMES) this.#seatWaiting(name, Infinity);
  }

  #seatWaiting(name: LevelName, limit: number): void {
    const seated = this.#seated;
    while (this.#queues[name].size > 0 && seated[name] < limit && hasFreeSeat(this.#seats, seated, name)) {
      seated[name]++;
      this.#queues[name].take()?.settle(undefined);
    }
  }
}

function createLevelRecord<T>(make: (name: LevelName) => T): Record<LevelName, T> {
  return Object.fromEntries(LEVEL_NAMES.map((name) => [name, make(name)])) as Record<LevelName, T>;
}

/** The reason of a rejection, as in the metric `apiserver_flowcontrol_rejected_requests_total`. */
export type RejectReason = "queue-full" | "time-out" | "cancelled";

/** The server is overloaded, and the request may be retried. The client gets kube-apiserver's text. */
export class OverloadError extends AppError {
  readonly reason: RejectReason;

  constructor(reason: RejectReason) {
    super("unreachable", `cannot serve the request: ${reason}`, { retryable: true });
    this.reason = reason;
  }
}

/** A queue of waiting requests, fair between flows: flows take turns, and each flow is first in, first out. */
export class FlowQueue<T extends { readonly flow: unknown }> {
  readonly #limit: number;
  /** The flows in the order of their turns. */
  readonly #flows = new Map<unknown, Set<T>>();
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Adds an item. When the queue is full, the longest flow loses its newest item, so a flood displaces only itself.
   * Returns the displaced item, which may be the added one.
   */
  add(item: T): T | undefined {
    const displaced = this.#size < this.#limit ? undefined : this.#findDisplaced(item.flow);
    if (displaced === "added") return item;
    if (displaced !== undefined) this.remove(displaced);
    const flow = this.#flows.get(item.flow);
    if (flow === undefined) this.#flows.set(item.flow, new Set([item]));
    else flow.add(item);
    this.#size++;
    return displaced;
  }

  /** Removes and returns the next item; its flow moves to the end. */
  take(): T | undefined {
    for (const [name, flow] of this.#flows) {
      const [item] = flow;
      if (item === undefined) continue;
      this.#flows.delete(name);
      flow.delete(item);
      this.#size--;
      if (flow.size > 0) this.#flows.set(name, flow);
      return item;
    }
    return undefined;
  }

  /** Removes an item before its turn; false when it is not in the queue. */
  remove(item: T): boolean {
    const flow = this.#flows.get(item.flow);
    if (flow?.delete(item) !== true) return false;
    this.#size--;
    if (flow.size === 0) this.#flows.delete(item.flow);
    return true;
  }

  /** Finds the newest item of the longest flow: the added item, if its own flow is the longest. */
  #findDisplaced(addedFlow: unknown): T | "added" {
    let longest: Set<T> | undefined;
    for (const flow of this.#flows.values()) if (flow.size > (longest?.size ?? 0)) longest = flow;
    const ownSize = (this.#flows.get(addedFlow)?.size ?? 0) + 1;
    if (longest === undefined || ownSize >= longest.size) return "added";
    return [...longest].at(-1) ?? "added";
  }
}
