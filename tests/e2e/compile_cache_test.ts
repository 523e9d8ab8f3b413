/** Tests that Node's compile cache is kept for the next start, and only where that is safe. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { spawnTlsbootToEnd } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

/** Whether Node runs the sources: Deno has its own cache, and the released file contains its code. */
const isKept = process.env["TLSBOOT_TEST_BINARY"] === undefined &&
  (process.versions["deno"] === undefined || process.env["TLSBOOT_TEST_NODE"] !== undefined);

/** Runs the program, and returns the files that it wrote into a cache folder. */
async function runWithCache(cache: string, env: Readonly<Record<string, string>>): Promise<string[]> {
  // The tests on Node have their own cache.
  const { code, stdout, stderr } = await spawnTlsbootToEnd(["version"], { env: { NODE_COMPILE_CACHE: "", ...env } });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^tlsboot version: /);
  // Deno has its own folder there.
  const own = join(cache, "tlsboot");
  return existsSync(own) ? await readdir(own, { recursive: true }) : [];
}

test("a start keeps compiled code in the user's cache folder for the next one", async () => {
  await using folder = await createTempFolder();
  for (
    const { cache, env } of [
      { cache: folder.join("named"), env: { HOME: folder.path, XDG_CACHE_HOME: folder.join("named") } },
      { cache: folder.join(".cache"), env: { HOME: folder.path, XDG_CACHE_HOME: "" } },
    ]
  ) {
    const kept = await runWithCache(cache, env);
    assert.equal(kept.some((path) => path.startsWith("compiled/")), isKept, `${kept}`);
    if (cache === folder.join("named")) assert.deepEqual(await runWithCache(cache, env), kept);
  }
});

test("a start with NODE_DISABLE_COMPILE_CACHE keeps nothing", async () => {
  await using folder = await createTempFolder();
  const cache = folder.join("cache");
  assert.deepEqual(await runWithCache(cache, { XDG_CACHE_HOME: cache, NODE_DISABLE_COMPILE_CACHE: "1" }), []);
});

test("a start uses and creates no cache where another user could write to it", async () => {
  await using folder = await createTempFolder();
  await chmod(folder.path, 0o777);
  assert.deepEqual(await runWithCache(folder.path, { XDG_CACHE_HOME: folder.path }), []);
});
