/** What Node compiled is kept for the next start, and only where it is safe. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { runTlsboot } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

/** Deno keeps it by itself, the released file carries it. */
const isKept = process.env["TLSBOOT_TEST_BINARY"] === undefined &&
  (process.versions["deno"] === undefined || process.env["TLSBOOT_TEST_NODE"] !== undefined);

/** Runs a program, and answers what it left in a cache folder. */
async function keptIn(cache: string, env: Readonly<Record<string, string>>): Promise<string[]> {
  const { code, stdout, stderr } = await runTlsboot(["version"], { env });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^tlsboot version: /);
  // Deno has a folder of its own there.
  const ours = join(cache, "tlsboot");
  return existsSync(ours) ? await readdir(ours, { recursive: true }) : [];
}

test("a start keeps what was compiled in the user's cache folder, for the next one", async () => {
  await using folder = await createTempFolder();
  for (
    const { cache, env } of [
      { cache: folder.join("named"), env: { HOME: folder.path, XDG_CACHE_HOME: folder.join("named") } },
      { cache: folder.join(".cache"), env: { HOME: folder.path, XDG_CACHE_HOME: "" } },
    ]
  ) {
    const kept = await keptIn(cache, env);
    assert.equal(kept.some((path) => path.startsWith("compiled/")), isKept, `${kept}`);
    assert.deepEqual(await keptIn(cache, env), kept);
  }
});

test("NODE_DISABLE_COMPILE_CACHE keeps nothing", async () => {
  await using folder = await createTempFolder();
  const cache = folder.join("cache");
  assert.deepEqual(await keptIn(cache, { XDG_CACHE_HOME: cache, NODE_DISABLE_COMPILE_CACHE: "1" }), []);
});

test("a start keeps nothing where somebody else could have put it", async () => {
  await using folder = await createTempFolder();
  const isRoot = process.getuid?.() === 0;
  const foreign = isRoot ? folder.join("foreign") : "/";
  const within = join(foreign, "own");
  if (isRoot) {
    await mkdir(within, { recursive: true });
    await chown(foreign, 65534, 65534);
  }
  assert.deepEqual(await keptIn(foreign, { XDG_CACHE_HOME: foreign }), []);
  assert.deepEqual(await keptIn(within, { XDG_CACHE_HOME: within }), []);
  assert.deepEqual(await keptIn(join(foreign, ".cache"), { HOME: foreign, XDG_CACHE_HOME: "" }), []);
});
