/** Gives everything below a prefix another one, key by key, whatever it is. */
import { RESTORE_MARKER_KEY } from "../../../core/backup/restore_marker.ts";
import { AppError } from "../../../core/errors.ts";
import type { EtcdClient } from "./client.ts";
import { isLeaseGone } from "./errors.ts";
import { inParallel } from "./in_parallel.ts";

/** How many keys are held at a time. */
const PAGE = 500;
/** Keys that are written meanwhile come again; somebody who goes on writing is at work there. */
const ROUNDS = 3;

/** Moves all below `root` but the marker to below `place`. AppError `conflict` where somebody goes on writing. */
export async function putAside(client: Pick<EtcdClient, "range" | "move">, root: string, place: string): Promise<void> {
  for (let round = 1; round <= ROUNDS; round++) {
    if (await moveOnce(client, root, place)) return;
  }
  throw new AppError("conflict", `cannot put aside what is below "${root}": somebody writes there`, {
    hint: "stop every server there, tlsboot's and kube-apiservers, and try again",
  });
}

/** Answers whether nothing was left. */
async function moveOnce(client: Pick<EtcdClient, "range" | "move">, root: string, place: string): Promise<boolean> {
  let isClear = true;
  for (let key = root;;) {
    const { kvs, more } = await client.range({ key, below: root, limit: PAGE });
    await inParallel(kvs.filter((kv) => kv.key !== RESTORE_MARKER_KEY), async (kv) => {
      // What ended with its lease meanwhile is nobody's loss.
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
