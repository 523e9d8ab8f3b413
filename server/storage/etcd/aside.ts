/** Moves every key below a prefix to another prefix. */
import { RESTORE_MARKER_KEY } from "./restore_plan.ts";
import { AppError } from "../../../core/errors.ts";
import type { EtcdClient } from "./client.ts";
import { isLeaseGone } from "./errors.ts";

/** How many tasks run at the same time; etcd syncs its disk once for all requests that arrive together. */
const WIDTH = 64;
/** How many keys are read at a time. */
const PAGE = 500;
/** How often keys written in the meantime are moved again before another writer is assumed. */
const ROUNDS = 3;

/** Moves all keys below `root` except the marker below `place`. Throws AppError `conflict` when another program keeps writing. */
export async function putAside(client: Pick<EtcdClient, "range" | "move">, root: string, place: string): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    if (await moveOnce(client, root, place)) return;
  }
  throw new AppError("conflict", `cannot put aside what is below "${root}": another program writes there`, {
    hint: "stop every server there, tlsboot's and kube-apiservers, and try again",
  });
}

/** Moves all keys once; returns whether none was left. */
async function moveOnce(client: Pick<EtcdClient, "range" | "move">, root: string, place: string): Promise<boolean> {
  let isClear = true;
  for (let key = root;;) {
    const { kvs, more } = await client.range({ key, below: root, limit: PAGE });
    await inParallel(kvs.filter((kv) => kv.key !== RESTORE_MARKER_KEY), async (kv) => {
      // A key whose lease has expired in the meantime need not be moved.
      const isMoved = await client.move(kv, `${place}/${kv.key.slice(root.length)}`).catch((error: unknown) => {
        if (!isLeaseGone(error)) throw error;
        return false;
      });
      if (!isMoved) isClear = false;
    });
    if (!more) return isClear;
    key = `${kvs.at(-1)!.key}\u0000`;
  }
}

/** Runs a task for each item, a limited number at once. The first failure rejects after the running tasks have ended. */
export async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const failures: unknown[] = [];
  const work = async () => {
    for (const item of rest) {
      if (failures.length > 0) return;
      await run(item).catch((error: unknown) => void failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(WIDTH, items.length) }, work));
  if (failures.length > 0) throw failures[0];
}
