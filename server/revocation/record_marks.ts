/**
 * Keeps `status.revocation` of the records of issued certificates up to date, for people and for CRLs. No check of a
 * credential depends on it. Servers that share a storage may all do this, because every write is guarded by a revision.
 */
import { setImmediate } from "node:timers/promises";
import { isAppError } from "../../core/errors.ts";
import { getName } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { toRecordedRevocation } from "../../core/revocation/revocation_index.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import { REGISTER_PREFIX } from "../register/register.ts";
import type { Revocations } from "./revocations.ts";

export interface RecordMarksDeps {
  readonly storage: Storage;
  readonly revocations: Pick<Revocations, "index" | "records" | "onChange" | "onRecord">;
}

const PAGE_SIZE = 500;
/** The number of records that are written at once; the writes of one turn of the event loop share a commit. */
const WRITTEN_AT_ONCE = 64;

/** The marks of revoked certificates in the register. */
export class RecordMarks {
  readonly #deps: RecordMarksDeps;
  /** The names of new records that have to be marked or unmarked. */
  readonly #pending = new Set<string>();
  #isFullUpdateDue = true;

  constructor(deps: RecordMarksDeps) {
    this.#deps = deps;
    deps.revocations.onChange(() => (this.#isFullUpdateDue = true));
    deps.revocations.onRecord((record) => {
      if (findMark(deps.revocations, record) !== "unchanged") this.#pending.add(getName(record));
    });
  }

  /**
   * Updates the marks of all records that need it; returns the number of changed records. It can be tried again after a
   * failure.
   */
  async update(signal: AbortSignal): Promise<number> {
    let changed = 0;
    const names = [...this.#pending];
    if (this.#isFullUpdateDue) {
      this.#isFullUpdateDue = false;
      try {
        changed += await this.#updateAll(signal);
      } catch (error) {
        this.#isFullUpdateDue = true;
        throw error;
      }
    }
    for (const name of names) {
      const stored = await this.#deps.storage.get(`${REGISTER_PREFIX}${name}`);
      if (stored !== undefined) changed += await this.#write([stored]);
      this.#pending.delete(name);
    }
    return changed;
  }

  /** Whether `update` has something to do. */
  get isDue(): boolean {
    return this.#isFullUpdateDue || this.#pending.size > 0;
  }

  async #updateAll(signal: AbortSignal): Promise<number> {
    const { storage, revocations } = this.#deps;
    if (revocations.index.size === 0 && revocations.records.markedCount === 0) return 0;
    let changed = 0;
    let fromKey: string | undefined = REGISTER_PREFIX;
    while (fromKey !== undefined) {
      signal.throwIfAborted();
      const page = await storage.list(REGISTER_PREFIX, { limit: PAGE_SIZE, fromKey });
      const stale = page.items.filter((stored) =>
        findMark(revocations, stored.object as IssuedCertificate) !== "unchanged"
      );
      for (let start = 0; start < stale.length; start += WRITTEN_AT_ONCE) {
        changed += await this.#write(stale.slice(start, start + WRITTEN_AT_ONCE));
      }
      fromKey = page.nextKey;
      await setImmediate();
    }
    return changed;
  }

  async #write(items: readonly Stored[]): Promise<number> {
    const { storage, revocations } = this.#deps;
    const written = items.map(async (stored): Promise<number> => {
      const record = stored.object as IssuedCertificate;
      const mark = findMark(revocations, record);
      if (mark === "unchanged") return 0;
      const { revocation: _before, ...status } = record.status;
      const object = { ...record, status: mark === undefined ? status : { revocation: mark, ...status } };
      try {
        await storage.update(stored.key, object, stored.revision);
        return 1;
      } catch (error) {
        // Another server has marked or sealed the record; its newer state is checked again.
        if (!isAppError(error, "conflict")) throw error;
        this.#pending.add(getName(record));
        return 0;
      }
    });
    return (await Promise.all(written)).reduce((sum, count) => sum + count, 0);
  }
}

/** Finds the mark that a record should have, undefined for none; `unchanged` if the record already has it. */
function findMark(
  { index }: Pick<Revocations, "index">,
  record: IssuedCertificate,
): IssuedCertificate["status"]["revocation"] | "unchanged" {
  const revoked = index.findForRecord(record);
  const mark = revoked === undefined ? undefined : toRecordedRevocation(revoked);
  return JSON.stringify(mark) === JSON.stringify(record.status.revocation) ? "unchanged" : mark;
}
