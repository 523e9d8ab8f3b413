/** Where the lines of the table are measured: the servers that are started on each side. */
import { AIMS, type StoreAims } from "./aims.ts";
import type { BenchInstance } from "./instance.ts";
import { startOurInstance } from "./our_instance.ts";
import { startOurServers } from "./our_servers.ts";
import { startPeerInstance } from "./peer_instance.ts";
import type { Program } from "./program.ts";

/** Fresh instances of both sides; the peer is a control plane with its limits lifted. */
export interface Grounds {
  /** Follows what each line measures. */
  readonly where: string;
  readonly aims: StoreAims;
  ours(program: Program): Promise<BenchInstance>;
  theirs(): Promise<BenchInstance>;
}

/** Both sides as they ship on one machine: tlsboot on SQLite, the peer on etcd. */
export const ON_SQLITE: Grounds = {
  where: "",
  aims: AIMS.sqlite,
  ours: startOurInstance,
  theirs: startPeerInstance,
};

/** Several servers of each side, on an etcd of one member. */
export function onEtcd(servers: 1 | 3): Grounds {
  return {
    where: servers === 1 ? ", one server on etcd" : ", three servers on etcd",
    aims: servers === 1 ? AIMS.oneOnEtcd : AIMS.threeOnEtcd,
    ours: (program) => startOurServers(program, servers),
    theirs: () => startPeerInstance(servers),
  };
}
