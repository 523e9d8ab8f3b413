/**
 * Every object of the storage at one revision, for `tlsboot backup`: a path of ours, beside Kubernetes'. Nobody has the
 * right to it but who has every right: no default role names it. See docs/decisions/0022-backup.md.
 */
import { Buffer } from "node:buffer";
import { formatSnapshotHead, formatSnapshotObject } from "../../core/backup/objects.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import type { Answer, AnswerStream } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { baseHeaders } from "./respond.ts";
import { assertRoute } from "./routes.ts";

/** Where it is. */
export const SNAPSHOT_PATH = "/tlsboot/snapshot";
/** Its media type: a line of JSON for each object. */
export const SNAPSHOT_TYPE = "application/x-ndjson";

/** So much is made at a time, whatever the objects weigh. */
const CHUNK_BYTES = 1_048_576;

/** Streams the snapshot. What is written meanwhile is not in it. */
export async function respondSnapshot(exchange: Exchange, storage: Pick<Storage, "list">): Promise<Answer> {
  assertRoute(exchange, ["GET"], [SNAPSHOT_TYPE]);
  const { items, revision } = await storage.list("/registry/");
  const chunks = chunksOf(items, revision);
  const body: AnswerStream = {
    next: () => Promise.resolve(chunks.next().value ?? undefined),
    cancel: () => void chunks.return(),
  };
  return { status: 200, headers: baseHeaders(exchange, { "content-type": SNAPSHOT_TYPE }), body };
}

/** The lines of a snapshot, some at a time. */
export function* chunksOf(items: readonly Stored[], revision: number): Generator<Uint8Array, void> {
  let lines = [formatSnapshotHead({ revision, objects: items.length })];
  let size = 0;
  for (const item of items) {
    const line = formatSnapshotObject(item);
    lines.push(line);
    size += line.length;
    if (size < CHUNK_BYTES) continue;
    yield Buffer.concat(lines);
    lines = [];
    size = 0;
  }
  yield Buffer.concat(lines);
}
