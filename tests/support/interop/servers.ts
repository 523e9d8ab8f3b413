/** Servers of one instance that share an etcd. */
import { cp, mkdir } from "node:fs/promises";
import { type InstanceOptions, type RunningInstance, startInstance } from "./instance.ts";

/** Servers that run. Disposing stops all of them. */
export interface RunningServers extends AsyncDisposable {
  readonly instances: readonly RunningInstance[];
}

/** Starts a server for each list of members, all with the CA of the first one. */
export async function startServers(
  membersOfEach: readonly (readonly string[])[],
  options: InstanceOptions = {},
): Promise<RunningServers> {
  const instances: RunningInstance[] = [];
  const dispose = async (): Promise<void> => {
    for (const instance of instances.toReversed()) await instance[Symbol.asyncDispose]();
  };
  try {
    for (const members of membersOfEach) {
      const args = [...(options.args ?? []), "--etcd-servers", members.join(",")];
      const [first] = instances;
      const dataDir = first === undefined ? {} : { dataDir: await copyAuthority(first, `server-${instances.length}`) };
      instances.push(await startInstance({ ...options, args, ...dataDir }));
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { instances, [Symbol.asyncDispose]: dispose };
}

/** A data directory that has an instance's CA and nothing else. */
export async function copyAuthority(instance: RunningInstance, name: string): Promise<string> {
  const dataDir = instance.folder.join(name);
  await copyCa(instance.dataDir, dataDir);
  return dataDir;
}

/** Creates a data directory with the CA and the keys of another one. Serving certificates are each server's own. */
export async function copyCa(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  await cp(`${from}/pki`, `${to}/pki`, { recursive: true, filter: (path) => !/apiserver/.test(path) });
}
