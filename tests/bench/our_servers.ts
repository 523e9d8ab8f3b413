/** Several `tlsboot up --auto-approve` on one etcd; each has its own folder, with the CA of the first one. */
import { cp, mkdir } from "node:fs/promises";
import { startEtcd } from "../support/interop/etcd.ts";
import { type OurInstance, startOurInstance } from "./our_instance.ts";
import type { Program } from "./program.ts";
import type { BenchInstance } from "./instance.ts";
import { startTogether } from "./together.ts";

/** Starts an etcd of one member and `count` servers on it: one, then the others at the same time. */
export async function startOurServers(program: Program, count: number): Promise<BenchInstance> {
  await using stack = new AsyncDisposableStack();
  const etcd = stack.use(await startEtcd());
  const flags = ["--etcd-servers", etcd.urls.join(",")];
  const first = stack.use(await startOurInstance(program, flags));
  const startOther = () => startOurInstance(program, flags, (data) => takeCa(first, data));
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

async function takeCa(from: OurInstance, data: string): Promise<void> {
  await mkdir(data, { mode: 0o700 });
  const filter = (path: string): boolean => !/apiserver/.test(path);
  await cp(`${from.data}/pki`, `${data}/pki`, { recursive: true, filter });
}
