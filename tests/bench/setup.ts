/** The servers of each side on which the lines of the table are measured. */
import { AIMS, type StoreAims } from "./aims.ts";
import type { BenchInstance } from "./instance.ts";
import { startOurInstance } from "./our_instance.ts";
import { startOurServers } from "./our_servers.ts";
import { startPeerInstance } from "./peer_instance.ts";
import type { Program } from "./program.ts";

/** Starts new instances of both sides. The peer is a control plane with its rate limits lifted. */
export interface Setup {
  /** The suffix of each line's description. */
  readonly where: string;
  readonly aims: StoreAims;
  ours(program: Program): Promise<BenchInstance>;
  theirs(): Promise<BenchInstance>;
}

/** One server of each side with its default storage: SQLite for tlsboot, etcd for the peer. */
export const ON_SQLITE: Setup = {
  where: "",
  aims: AIMS.sqlite,
  ours: startOurInstance,
  theirs: startPeerInstance,
};

/** Creates the setup with one or three servers of each side, on an etcd of one member. */
export function onEtcd(servers: 1 | 3): Setup {
  return {
    where: servers === 1 ? ", one server on etcd" : ", three servers on etcd",
    aims: servers === 1 ? AIMS.oneOnEtcd : AIMS.threeOnEtcd,
    ours: (program) => startOurServers(program, servers),
    theirs: () => startPeerInstance(servers),
  };
}
