/**
 * Every object of the storage at one revision, for `tlsboot backup`. This path does not exist in Kubernetes. The
 * snapshot contains every Secret, so it requires permission for the path and every permission on every resource. See
 * docs/decisions/0022-backup.md.
 */
import { Buffer } from "node:buffer";
import { formatSnapshotHead, formatSnapshotObject } from "../storage/snapshot_lines.ts";
import type { ResourceAttributes } from "../../core/rbac/attributes.ts";
import { type Authorizer, createDeniedError } from "../authz/authorizer.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import type { Answer, AnswerStream } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { createBaseHeaders } from "./respond.ts";
import { assertRoute } from "./routes.ts";

export const SNAPSHOT_PATH = "/tlsboot/snapshot";
/** The media type of the snapshot: one line of JSON for each object. */
export const SNAPSHOT_TYPE = "application/x-ndjson";

/** The approximate size of one chunk. */
const CHUNK_BYTES = 1_048_576;

/** The permission that the snapshot requires in addition to the one for its path. */
const EVERYTHING: ResourceAttributes = {
  kind: "resource",
  verb: "*",
  apiGroup: "*",
  apiVersion: "*",
  resource: "*",
  subresource: "",
  name: "",
  namespace: "",
};

export interface SnapshotDeps {
  readonly storage: Pick<Storage, "list">;
  readonly authorizer: Pick<Authorizer, "authorize">;
}

/**
 * Streams a snapshot of the current state, without later writes. Throws StatusError 403 unless the user has every
 * permission.
 */
export async function respondSnapshot(exchange: Exchange, { storage, authorizer }: SnapshotDeps): Promise<Answer> {
  assertRoute(exchange, ["GET"], [SNAPSHOT_TYPE]);
  const decision = await authorizer.authorize(exchange.user, EVERYTHING);
  if (decision.kind !== "allow") throw createDeniedError(exchange.user, EVERYTHING, decision.reason);
  const { items, revision } = await storage.list("/registry/");
  const chunks = encodeSnapshot(items, revision);
  const ended = Promise.withResolvers<void>();
  exchange.beginStream(ended.promise);
  const body: AnswerStream = {
    next() {
      const { value } = chunks.next();
      if (value === undefined) ended.resolve();
      return Promise.resolve(value ?? undefined);
    },
    cancel() {
      chunks.return();
      ended.resolve();
    },
  };
  return { status: 200, headers: createBaseHeaders(exchange, { "content-type": SNAPSHOT_TYPE }), body };
}

export function* encodeSnapshot(items: readonly Stored[], revision: number): Generator<Uint8Array, void> {
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
