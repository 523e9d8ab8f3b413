/** Where the lines of a table are measured: the servers that are started on each side. */
import { startOurServers } from "./our_servers.ts";
import { startOurInstance } from "./our_instance.ts";
import { startPeerInstance } from "./peer_instance.ts";
import type { Program } from "./program.ts";
import type { Line, Scenario } from "./scenario.ts";
import type { BenchInstance } from "./instance.ts";

/** Fresh instances of both sides. */
export interface Grounds {
  ours(program: Program): Promise<BenchInstance>;
  /** Starts the peer with additional flags of kube-controller-manager. */
  theirs(controllerFlags: readonly string[]): Promise<BenchInstance>;
}

/** Both sides as they ship on one machine: tlsboot on SQLite, the peer on etcd. */
export const AS_SHIPPED: Grounds = { ours: startOurInstance, theirs: startPeerInstance };

/** Several servers of each side, on an etcd of one member. */
export function onEtcd(servers: number): Grounds {
  return {
    ours: (program) => startOurServers(program, servers),
    theirs: (controllerFlags) => startPeerInstance(controllerFlags, servers),
  };
}

/** A scenario whose lines say how many servers there are, and have only aims beside the peer: the others are for SQLite. */
export function withServers(servers: number, scenario: Scenario): Scenario {
  const toLine = (line: Line): Line => ({
    ...line,
    what: `${line.what}, ${servers} ${servers === 1 ? "server" : "servers"}`,
    findAim(form) {
      const aim = line.findAim(form);
      return aim?.isBesidePeer === true ? aim : undefined;
    },
  });
  const lines = Object.fromEntries(Object.entries(scenario.lines).map(([key, line]) => [key, toLine(line)]));
  return { ...scenario, lines };
}
