/**
 * A program that opens a store and, with a second argument, writes to it from several writers without end. It prints a
 * line when the store is open, and a line for every acknowledged write. Tests kill it.
 */
import process from "node:process";
import { isAppError } from "../../core/errors.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { createFakeClock } from "./fake_clock.ts";

const [path = "", run = ""] = process.argv.slice(2);

async function main(): Promise<void> {
  const storage = await openSqliteStorage({ path, clock: createFakeClock() });
  process.stdout.write("open\n");
  if (run === "") setInterval(() => {}, 60_000);
  else await Promise.all(Array.from({ length: 8 }, (_, writer) => write(`${run}-${writer}`)));

  async function write(name: string): Promise<void> {
    for (let round = 0;; round++) {
      const key = `/registry/things/${name}-${round}`;
      const created = await storage.create(key, { metadata: { name, annotations: { filler: "x".repeat(500) } } });
      acknowledge(key, created.revision);
      const updated = await storage.update(key, created.object, created.revision);
      acknowledge(key, updated.revision);
      // The last change of an object and the creation of its companion are one transaction.
      const companion = { kind: "create", key: key.replace("things", "companions"), object: created.object } as const;
      const last = round % 3 === 0
        ? { kind: "update", key, object: created.object, expectedRevision: updated.revision } as const
        : { kind: "delete", key, expectedRevision: updated.revision } as const;
      for (const { key, revision } of await storage.transact([companion, last])) acknowledge(key, revision);
    }
  }
}

function acknowledge(key: string, revision: number): void {
  process.stdout.write(`acknowledged ${revision} ${key}\n`);
}

main().catch((error) => {
  process.stdout.write(`failed ${isAppError(error) ? error.code : error}\n`);
  process.exitCode = 1;
});
