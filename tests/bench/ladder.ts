/** The layers of a server, and the table of the cost of one creation with each of them. */
import { type CpuShares, SHARES } from "./processes.ts";
import { findMedian } from "./stats.ts";

/**
 * The layers from the lowest, and what each adds. Each rung of the ladder includes all layers below it. The first two
 * rungs echo the body of the request, the next four send a fixed answer, and the others decode and answer the request.
 */
const ADDED = {
  "core stream": "streams of `node:http2`, echo",
  compat: "request and response of `node:http2`, echo",
  listener: "the listener, which passes requests to an app",
  routing: "the app: target, deadline, seat, metrics, route",
  authentication: "the bootstrap token",
  authorization: "RBAC",
  creation: "body, decoding, managed fields, encoding",
  admission: "the admission plugins",
  verification: "validation, with the signature of the request",
  commit: "the request and its record in SQLite",
  followers: "what follows requests in the API",
  controllers: "all of `tlsboot up`: audit log, approver, signer, upkeep",
};

export type Layer = keyof typeof ADDED;

export const LAYERS = Object.keys(ADDED) as readonly Layer[];

/** One round of one rung. */
export interface RungCost {
  readonly requests: number;
  readonly shares: CpuShares;
}

export const LADDER_HEAD: readonly string[] = [
  ...["layer", "what it adds", "adds µs", "server µs", "all rounds"],
  ...["main thread", "pool", "V8", "other threads", "clients", "rest of the machine"],
];

/** Formats the rounds of each rung, in microseconds of CPU per request. */
export function formatLadder(rounds: readonly (readonly RungCost[])[]): readonly (readonly string[])[] {
  let below = 0;
  return LAYERS.map((layer, index) => {
    const costs = rounds[index] ?? [];
    const each = (toSeconds: (shares: CpuShares) => number): readonly number[] =>
      costs.map(({ requests, shares }) => (1e6 * toSeconds(shares)) / requests);
    const servers = each(({ main, pool, v8, others }) => main + pool + v8 + others);
    const median = findMedian(servers);
    const added = median - below;
    below = median;
    const formatMean = (key: keyof CpuShares): string => {
      const values = each((shares) => shares[key]);
      // Ticks are counted separately by process and by thread, so their difference may be below 0.
      return Math.max(0, values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(0);
    };
    return [
      ...[layer, ADDED[layer], added.toFixed(0), median.toFixed(0), servers.map((one) => one.toFixed(0)).join(", ")],
      ...SHARES.map(formatMean),
    ];
  });
}
