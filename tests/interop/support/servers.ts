/** Servers of one site that share an etcd. */
import { cp, mkdir } from "node:fs/promises";
import { type RunningSite, type SiteOptions, startSite } from "./site.ts";

/** Servers that run. Disposing stops all of them. */
export interface RunningServers extends AsyncDisposable {
  readonly sites: readonly RunningSite[];
}

/** Starts one for each list of members that it is told of: the CA of the first one in all their folders. */
export async function startServers(
  membersOfEach: readonly (readonly string[])[],
  options: SiteOptions = {},
): Promise<RunningServers> {
  const sites: RunningSite[] = [];
  const dispose = async (): Promise<void> => {
    for (const site of sites.toReversed()) await site[Symbol.asyncDispose]();
  };
  try {
    for (const members of membersOfEach) {
      const args = [...(options.args ?? []), "--etcd-servers", members.join(",")];
      const [first] = sites;
      const dataDir = first === undefined ? {} : { dataDir: await copyAuthority(first, `server-${sites.length}`) };
      sites.push(await startSite({ ...options, args, ...dataDir }));
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { sites, [Symbol.asyncDispose]: dispose };
}

/** A data directory that has a site's CA and nothing else. */
export async function copyAuthority(site: RunningSite, name: string): Promise<string> {
  const dataDir = site.folder.join(name);
  await mkdir(dataDir, { mode: 0o700 });
  await cp(`${site.dataDir}/pki`, `${dataDir}/pki`, { recursive: true, filter: (path) => !/apiserver/.test(path) });
  return dataDir;
}
