/**
 * Transactions of a store: several writes that take place together or not at all, and the single writes, each of which is a
 * transaction of its own.
 */
import { AppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { AlreadyExistsError, RevisionConflictError, type StorageEvent, type Stored, type Write } from "./storage.ts";

/** The largest number of writes in one transaction, etcd's default (`--max-txn-ops`). */
export const MAX_TRANSACTION_WRITES = 128;

/** The single writes of a store, by its transactions. */
export abstract class SingleWrites {
  abstract transact(writes: readonly Write[]): Promise<readonly StorageEvent[]>;

  async create(key: string, object: KubeObject): Promise<Stored> {
    return (await this.#write({ kind: "create", key, object })).current!;
  }

  async update(key: string, object: KubeObject, expectedRevision: number): Promise<Stored> {
    return (await this.#write({ kind: "update", key, object, expectedRevision })).current!;
  }

  async delete(
    key: string,
    expectedRevision: number,
  ): Promise<{ readonly previous: Stored; readonly revision: number }> {
    const { previous, revision } = await this.#write({ kind: "delete", key, expectedRevision });
    return { previous: previous!, revision };
  }

  async #write(write: Write): Promise<StorageEvent> {
    return (await this.transact([write]))[0]!;
  }
}

/** Throws AppError `internal` for a transaction that etcd would refuse, so that every store refuses the same. */
export function assertTransaction(writes: readonly Write[]): void {
  if (writes.length > MAX_TRANSACTION_WRITES) {
    throw new AppError(
      "internal",
      `cannot make ${writes.length} writes in one transaction: ${MAX_TRANSACTION_WRITES} are the most`,
    );
  }
  const keys = new Set<string>();
  for (const { key } of writes) {
    if (keys.has(key)) throw new AppError("internal", `cannot write "${key}" twice in one transaction`);
    keys.add(key);
  }
}

/** Returns the error of a write that does not hold for the present state of its key; undefined for one that holds. */
export function checkWrite(
  write: Write,
  present: Stored | undefined,
): AlreadyExistsError | RevisionConflictError | undefined {
  const { key } = write;
  if (write.kind === "create") return present === undefined ? undefined : new AlreadyExistsError(key);
  return present?.revision === write.expectedRevision ? undefined : new RevisionConflictError(key, present);
}
