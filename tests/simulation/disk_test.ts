import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../support/fake_clock.ts";
import { createMemoryLogger } from "../support/memory_logger.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { JSON_VALUES, thing } from "../support/stored_things.ts";
import { createSimulatedFiles, SimulatedDatabase } from "./disk.ts";

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);

/** Creates a wait that ends at once, until the step at which the program is killed. */
function createWait(steps = Infinity): () => Promise<void> {
  let left = steps;
  return () => left-- > 0 ? Promise.resolve() : new Promise(() => {});
}

test("createSimulatedFiles() keeps synced changes in a power cut, and loses some others", async () => {
  const links = new Set<string | undefined>();
  for (const seed of SEEDS) {
    const files = createSimulatedFiles({ random: createSeededRandom(seed), wait: createWait() });
    await files.writeAtomic("/pki/key", "first", 0o600);
    await files.symlink("key", "/pki/current");
    assert.equal(await files.readLink("/pki/current"), "key");
    files.cutPower();
    assert.equal(await files.readText("/pki/key"), "first");
    links.add(await files.readLink("/pki/current"));
    // Syncing a folder for a file also syncs the earlier changes in it.
    const again = createSimulatedFiles({ random: createSeededRandom(seed), wait: createWait() });
    await again.symlink("key", "/pki/current");
    await again.writeAtomic("/pki/key", "first", 0o600);
    again.cutPower();
    assert.equal(await again.readLink("/pki/current"), "key");
  }
  assert.deepEqual(links, new Set(["key", undefined]));
});

test("createSimulatedFiles().writeAtomic() leaves the old or the new text after a power cut at any step", async () => {
  const texts = new Set<string | undefined>();
  for (const seed of SEEDS) {
    for (const step of [0, 1, 2]) {
      const files = createSimulatedFiles({ random: createSeededRandom(seed), wait: createWait(3 + step) });
      await files.writeAtomic("/a/b", "old", 0o600);
      void files.writeAtomic("/a/b", "new", 0o600);
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      files.cutPower();
      texts.add(await files.readText("/a/b"));
    }
  }
  assert.deepEqual(texts, new Set(["old", "new"]));
});

test("SimulatedDatabase keeps acknowledged writes in a power cut, and other writes as a whole or not at all", async () => {
  const counts = new Set<number>();
  for (const seed of SEEDS) {
    const committed: string[] = [];
    const deps = { random: createSeededRandom(seed), wait: createWait(2) };
    const database = new SimulatedDatabase(deps, ({ key }) => void committed.push(key));
    const open = () => database.open({ clock: createFakeClock(), logger: createMemoryLogger(), values: JSON_VALUES });
    const storage = open();
    await storage.create("/registry/things/a", thing("a"));
    const { revision } = await storage.create("/registry/things/b", thing("b"));
    void storage.transact([
      { kind: "create", key: "/registry/things/c", object: thing("c") },
      { kind: "create", key: "/registry/others/c", object: thing("c") },
    ]);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    database.cutPower();
    assert.deepEqual(committed, ["/registry/things/a", "/registry/things/b"]);
    const { items } = await open().list("/registry/");
    assert.equal(items.find(({ key }) => key === "/registry/things/b")?.revision, revision);
    counts.add(items.length);
  }
  assert.deepEqual(counts, new Set([2, 4]));
});
