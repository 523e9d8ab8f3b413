/** The configurations in which the lines of the table are measured: the servers of each side. */
import { AIMS, type StoreAims } from "./aims.ts";
import type { BenchInstance } from "./instance.ts";
import { startOurInstance } from "./our_instance.ts";
import { startOurServers } from "./our_servers.ts";
import { startPeerInstance } from "./peer_instance.ts";
import type { Program } from "./program.ts";

/** Starts fresh instances of both sides; the peer is a control plane with its rate limits lifted. */
export interface Grounds {
  /** The suffix of each line's description. */
  readonly where: string;
  readonly aims: StoreAims;
  ours(program: Program): Promise<BenchInstance>;
  theirs(): Promise<BenchInstance>;
}

/** Both sides in their default configuration on one machine: tlsboot on SQLite, the peer on etcd. */
export const ON_SQLITE: Grounds = {
  where: "",
  aims: AIMS.sqlite,
  ours: startOurInstance,
  theirs: startPeerInstance,
};

/** Creates the configuration of one or three servers of each side, on an etcd of one member. */
export function onEtcd(servers: 1 | 3): Grounds {
  return {
    where: servers === 1 ? ", one server on etcd" : ", three servers on etcd",
    aims: servers === 1 ? AIMS.oneOnEtcd : AIMS.threeOnEtcd,
    ours: (program) => startOurServers(program, servers),
    theirs: () => startPeerInstance(servers),
  };
}
