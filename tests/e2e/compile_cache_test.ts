/** The compile cache of Node is kept for the next start, and only where that is safe. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { spawnTlsbootToEnd } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

/** True when the runtime is Node from sources: Deno has its own cache, and the released file contains its code. */
const isKept = process.env["TLSBOOT_TEST_BINARY"] === undefined &&
  (process.versions["deno"] === undefined || process.env["TLSBOOT_TEST_NODE"] !== undefined);

/** Runs the program, and returns the files that it wrote into a cache folder. */
async function keptIn(cache: string, env: Readonly<Record<string, string>>, cwd?: string): Promise<string[]> {
  // The tests on Node have a cache of their own.
  const without = { NODE_COMPILE_CACHE: "", ...env };
  const { code, stdout, stderr } = await spawnTlsbootToEnd(["version"], {
    env: without,
    ...(cwd === undefined ? {} : { cwd }),
  });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /^tlsboot version: /);
  // Deno has its own folder there.
  const ours = join(cache, "tlsboot");
  return existsSync(ours) ? await readdir(ours, { recursive: true }) : [];
}

test("a start keeps compiled code in the user's cache folder for the next one", async () => {
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

test("a start uses and creates no cache where another user could write to it", async () => {
  await using folder = await createTempFolder();
  const open = folder.join("open");
  await mkdir(open);
  await chmod(open, 0o777);
  const planted = folder.join("planted");
  await mkdir(join(planted, "tlsboot"), { recursive: true });
  await chmod(join(planted, "tlsboot"), 0o777);
  const places = [
    { cache: open, env: { XDG_CACHE_HOME: open } },
    { cache: join(open, "own"), env: { XDG_CACHE_HOME: join(open, "own") } },
    { cache: join(planted, "tlsboot", "compiled"), env: { XDG_CACHE_HOME: planted } },
    { cache: join(open, ".cache"), env: { HOME: open, XDG_CACHE_HOME: "" } },
    { cache: folder.join("relative", ".cache"), env: { HOME: "relative", XDG_CACHE_HOME: "" } },
  ];
  if (process.getuid?.() === 0) {
    const foreign = folder.join("foreign");
    await mkdir(foreign);
    await chown(foreign, 65534, 65534);
    places.push({ cache: join(foreign, ".cache"), env: { HOME: foreign, XDG_CACHE_HOME: "" } });
  }
  for (const { cache, env } of places) {
    const before = existsSync(cache) ? await readdir(cache) : undefined;
    await keptIn(cache, env, folder.path);
    // Deno has its own folder there.
    const after = existsSync(cache) ? (await readdir(cache)).filter((name) => name !== "deno") : undefined;
    assert.deepEqual(after ?? [], before ?? [], cache);
    if (isKept) assert.equal(after === undefined, before === undefined, cache);
  }
});
