/** Servers of one instance that share an etcd. */
import { cp, mkdir } from "node:fs/promises";
import { type InstanceOptions, type RunningInstance, startInstance } from "./instance.ts";

/** Running servers. Disposing it stops all of them. */
interface RunningServers extends AsyncDisposable {
  readonly instances: readonly RunningInstance[];
}

/** Starts a server for each list of members, all with the CA of the first one. */
export async function startServers(
  membersOfEach: readonly (readonly string[])[],
  options: InstanceOptions = {},
): Promise<RunningServers> {
  await using stack = new AsyncDisposableStack();
  const instances: RunningInstance[] = [];
  for (const members of membersOfEach) {
    const args = [...(options.args ?? []), "--etcd-servers", members.join(",")];
    const [first] = instances;
    const dataDir = first === undefined ? {} : { dataDir: await copyAuthority(first, `server-${instances.length}`) };
    instances.push(stack.use(await startInstance({ ...options, args, ...dataDir })));
  }
  const owned = stack.move();
  return { instances, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Creates a data directory that contains only an instance's CA. */
export async function copyAuthority(instance: RunningInstance, name: string): Promise<string> {
  const dataDir = instance.folder.join(name);
  await copyCa(instance.dataDir, dataDir);
  return dataDir;
}

/** Creates a data directory with the CA and keys of another one, but not its serving certificate. */
export async function copyCa(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  await cp(`${from}/pki`, `${to}/pki`, { recursive: true, filter: (path) => !/apiserver/.test(path) });
}
