/** A place where nodes can bootstrap: ours or the peer's. */
import type { TempFolder } from "../../tests/support/temp.ts";
import { type Usage, usageOf } from "./processes.ts";
import type { Reading } from "./scenario.ts";

/** One that runs. Disposing it ends its processes and removes its folder. */
export interface Site extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly bootstrapKubeconfig: string;
  readonly adminKubeconfig: string;
  /** Its servers. */
  readonly pids: readonly number[];
}

/** Does something to a site: the number that comes of it, CPU seconds that the servers used for it, memory at its end. */
export async function readingOf(site: Site, act: () => Promise<number>): Promise<Reading> {
  const before = usageOf(site.pids);
  const value = await act();
  return { value, usage: since(before, usageOf(site.pids)) };
}

/** Usage from one look to a later one. */
export function since(before: Usage, after: Usage): Usage {
  return { ...after, cpuSeconds: after.cpuSeconds - before.cpuSeconds };
}

/** Resident memory of a site in MB (10^6 bytes), once it has come to rest. */
export async function restingMegabytes(site: Site): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  return usageOf(site.pids).residentBytes / 1e6;
}

/** Long enough for what a server does after it has answered. */
const REST_MS = 3000;
