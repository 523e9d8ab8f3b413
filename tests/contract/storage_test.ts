/** The storage contract and model, for the stores in memory and in SQLite. */
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { createTempFolder } from "../support/temp.ts";
import type { Clock } from "../../core/ports.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { type OpenedStorage, testQuota, testStorage } from "./storage_contract.ts";
import { testStorageModel } from "./storage_model.ts";

function openMemory(clock: Clock, quotaBytes?: number): Promise<OpenedStorage> {
  const storage = createMemoryStorage({ clock, quotaBytes });
  return Promise.resolve({ storage, [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose]() });
}

async function openSqlite(clock: Clock, quotaBytes?: number): Promise<OpenedStorage> {
  const folder = await createTempFolder();
  const openAgain = () => openSqliteStorage({ path: folder.join("tlsboot.db"), clock, quotaBytes });
  let storage = await openAgain();
  return {
    get storage() {
      return storage;
    },
    async reopen() {
      await storage[Symbol.asyncDispose]();
      storage = await openAgain();
    },
    async [Symbol.asyncDispose]() {
      await storage[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

for (
  const { name, open, runs } of [
    { name: "createMemoryStorage()", open: openMemory, runs: 150 },
    { name: "openSqliteStorage()", open: openSqlite, runs: 20 },
  ]
) {
  testStorage(name, open);
  testQuota(name, (quotaBytes) => open(createFakeClock(), quotaBytes));
  testStorageModel(name, open, runs);
}
