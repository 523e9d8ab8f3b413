/** A storage with a register and Revocations, without the rest of the API. */
import { Registry } from "prom-client";
import { formatRecordName } from "../../core/register/record.ts";
import { createRevocation, type RevocationTarget, toRevocationName } from "../../core/revocation/revocation.ts";
import { Register, REGISTER_PREFIX } from "../../server/register/register.ts";
import { openRevocations, type Revocations, type RevocationsDeps } from "../../server/revocation/revocations.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import type { Stored } from "../../server/storage/storage.ts";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import { createRecords, type RecordEdit } from "./issued_records.ts";
import { createMemoryLogger, type MemoryLogger } from "./memory_logger.ts";
import { createSeededRandom } from "./seeded_random.ts";

/** A store, and what follows it. */
export interface RevocationStore extends RevocationsDeps {
  readonly clock: FakeClock;
  readonly logger: MemoryLogger;
  readonly revocations: Revocations;
  /** Adds a record, whose sequence number is the next one. */
  record(edit: RecordEdit): Promise<void>;
  /** Returns the newest state of a record. */
  readRecord(sequence: number): Promise<Stored>;
  revoke(target: RevocationTarget): Promise<void>;
  takeBack(target: RevocationTarget): Promise<void>;
}

/** Opens the Revocations of a store that has a record for each edit. */
export async function openRevocationStore(...edits: readonly RecordEdit[]): Promise<RevocationStore> {
  const clock = createFakeClock("2026-11-28T02:00:00Z");
  const storage = createMemoryStorage({ clock });
  const random = createSeededRandom();
  const register = await Register.open({ storage, clock, random });
  const deps = { storage, clock, random, logger: createMemoryLogger(), registry: new Registry(), register };
  const revocations = await openRevocations(deps);
  const recorded: RecordEdit[] = [];
  const toRecordKey = (sequence: number) => REGISTER_PREFIX + formatRecordName(sequence);
  const toKey = (target: RevocationTarget) => `/registry/tlsboot/revocations/${toRevocationName(target)}`;
  const read = async (key: string): Promise<Stored> => (await storage.get(key))!;

  async function record(edit: RecordEdit): Promise<void> {
    const sequence = recorded.push(edit);
    await storage.create(toRecordKey(sequence), createRecords(recorded)[sequence - 1]!);
  }

  for (const edit of edits) await record(edit);
  return {
    ...deps,
    revocations,
    record,
    readRecord: (sequence: number) => read(toRecordKey(sequence)),
    async revoke(target: RevocationTarget): Promise<void> {
      await storage.create(toKey(target), createRevocation(target, { reason: "keyCompromise" }));
    },
    async takeBack(target: RevocationTarget): Promise<void> {
      const { key, revision } = await read(toKey(target));
      await storage.delete(key, revision);
    },
  };
}
