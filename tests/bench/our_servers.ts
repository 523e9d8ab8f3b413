/** Starts several `tlsboot up --auto-approve` on one etcd. Each has its own folder, with the CA of the first. */
import { startEtcd } from "../support/interop/etcd.ts";
import { copyCa } from "../support/interop/servers.ts";
import { startOurInstance } from "./our_instance.ts";
import type { Program } from "./program.ts";
import { type BenchInstance, startTogether } from "./instance.ts";

/** Starts an etcd of one member and `count` servers on it: first one, then the others at the same time. */
export async function startOurServers(program: Program, count: number): Promise<BenchInstance> {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await startEtcd());
  const flags = ["--etcd-servers", etcd.urls.join(",")];
  const first = stack.use(await startOurInstance(program, flags));
  const startOther = () => startOurInstance(program, flags, (data) => copyCa(first.data, data));
  const instances = [first, ...await startTogether(stack, count - 1, startOther)];
  const owned = stack.move();
  return {
    folder: etcd.folder,
    bootstrapKubeconfigs: instances.flatMap(({ bootstrapKubeconfigs }) => bootstrapKubeconfigs),
    adminKubeconfigs: instances.flatMap(({ adminKubeconfigs }) => adminKubeconfigs),
    pids: [...instances.flatMap(({ pids }) => pids), ...etcd.pids()],
    etcdPids: etcd.pids(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
