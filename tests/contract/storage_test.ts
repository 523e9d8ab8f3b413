/** Every Storage against the same suite and the same model. */
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { createTempFolder } from "../support/temp.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { type OpenStorage, testQuota, testStorage } from "./storage_contract.ts";
import { testStorageModel } from "./storage_model.ts";

const openMemory: OpenStorage = async (clock) => {
  const storage = createMemoryStorage({ clock });
  return { storage, [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose]() };
};

const openSqlite: OpenStorage = async (clock) => {
  const folder = await createTempFolder();
  const openAgain = () => openSqliteStorage({ path: folder.join("tlsboot.db"), clock });
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
};

testStorage("createMemoryStorage()", openMemory);
testQuota("createMemoryStorage()", async (quotaBytes) => {
  const storage = createMemoryStorage({ clock: createFakeClock(), quotaBytes });
  return { storage, [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose]() };
});
testQuota("openSqliteStorage()", async (quotaBytes) => {
  const folder = await createTempFolder();
  const openAgain = () => openSqliteStorage({ path: folder.join("tlsboot.db"), clock: createFakeClock(), quotaBytes });
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
});
testStorage("openSqliteStorage()", openSqlite);
testStorageModel("createMemoryStorage()", openMemory, 150);
testStorageModel("openSqliteStorage()", openSqlite, 20);
