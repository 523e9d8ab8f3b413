/** Several `tlsboot up --auto-approve` on one etcd; each has a folder of its own, with the CA of the first one. */
import { cp, mkdir } from "node:fs/promises";
import { type Etcd, startEtcd } from "../../tests/interop/support/etcd.ts";
import { type OurSite, startOurSite } from "./our_site.ts";
import type { Program } from "./program.ts";

/** Servers and the etcd below them. */
export interface OurServers extends AsyncDisposable {
  readonly sites: readonly OurSite[];
  readonly etcd: Etcd;
}

/** Starts an etcd of one member and so many servers on it. */
export async function startOurServers(program: Program, count: number): Promise<OurServers> {
  const etcd = await startEtcd();
  const sites: OurSite[] = [];
  const stop = async (): Promise<void> => {
    for (const site of sites.toReversed()) await site[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  };
  try {
    const flags = ["--etcd-servers", etcd.urls.join(",")];
    while (sites.length < count) {
      const first = sites[0];
      sites.push(await startOurSite(program, flags, (data) => first === undefined ? undefined : takeCa(first, data)));
    }
    return { sites, etcd, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function takeCa(from: OurSite, data: string): Promise<void> {
  await mkdir(data, { mode: 0o700 });
  const filter = (path: string): boolean => !/apiserver/.test(path);
  await cp(`${from.data}/pki`, `${data}/pki`, { recursive: true, filter });
}
