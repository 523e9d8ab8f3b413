/** Where the lines of a table are measured: the servers that are started on each side. */
import { startOurServers } from "./our_servers.ts";
import { startOurInstance } from "./our_instance.ts";
import { startPeerInstance } from "./peer_instance.ts";
import type { Program } from "./program.ts";
import type { Line, Scenario } from "./scenario.ts";
import type { BenchInstance } from "./instance.ts";

/** The aims of lines that a store decides, as multiples of the peer's number. */
export interface GroundsAims {
  readonly storm: number;
  readonly create: number;
  readonly json: number;
  readonly table: number;
  readonly protobuf?: number;
  readonly pages: number;
}

/** Fresh instances of both sides. */
export interface Grounds {
  readonly aims: GroundsAims;
  ours(program: Program): Promise<BenchInstance>;
  /** Starts the peer with additional flags of kube-controller-manager. */
  theirs(controllerFlags: readonly string[]): Promise<BenchInstance>;
}

/** Both sides as they ship on one machine: tlsboot on SQLite, the peer on etcd. */
export const AS_SHIPPED: Grounds = {
  aims: { storm: 0.56, create: 1.6, json: 0.25, table: 0.5, pages: 0.6 },
  ours: startOurInstance,
  theirs: startPeerInstance,
};

const ONE_ON_ETCD: GroundsAims = { storm: 0.75, create: 1.2, json: 0.25, table: 0.5, pages: 0.8 };
const SEVERAL_ON_ETCD: GroundsAims = { storm: 0.8, create: 1.1, json: 0.3, table: 0.5, protobuf: 0.5, pages: 0.8 };

/** Several servers of each side, on an etcd of one member. */
export function onEtcd(servers: number): Grounds {
  return {
    aims: servers === 1 ? ONE_ON_ETCD : SEVERAL_ON_ETCD,
    ours: (program) => startOurServers(program, servers),
    theirs: (controllerFlags) => startPeerInstance(controllerFlags, servers),
  };
}

/** A scenario whose lines say how many servers there are, and have only aims beside the peer: the others are for SQLite. */
export function withServers(servers: number, scenario: Scenario): Scenario {
  const toLine = ({ what, aim, ...line }: Line): Line => ({
    ...line,
    what: `${what}, ${servers} ${servers === 1 ? "server" : "servers"}`,
    aim: aim?.isBesidePeer === true ? aim : undefined,
  });
  const lines = Object.fromEntries(Object.entries(scenario.lines).map(([key, line]) => [key, toLine(line)]));
  return { ...scenario, lines };
}
