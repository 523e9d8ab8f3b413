import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";
import { type SwapDisk, swapFolders } from "./restore_backup.ts";

async function foldersIn(folder: TempFolder) {
  const swap = { staging: folder.join("staging"), root: folder.join("root"), replaced: folder.join("replaced") };
  for (const path of [swap.staging, swap.root]) {
    await mkdir(path);
    await writeFile(`${path}/name`, path === swap.root ? "old" : "new");
  }
  return swap;
}

/** A disk whose renames fail after a number of calls, except for some sources. */
function failing(times: number, isExcepted: (from: string) => boolean): SwapDisk {
  let left = times;
  return {
    move: async (from, to) => {
      left -= 1;
      if (left < 0 && !isExcepted(String(from))) throw new Error("no space");
      await rename(from, to);
    },
    sync: () => Promise.resolve(),
  };
}

test("swapFolders() moves the new folder into place and the old one aside", async () => {
  await using folder = await createTempFolder();
  const swap = await foldersIn(folder);
  await swapFolders(swap, failing(Infinity, () => false));
  assert.equal(await readFile(`${swap.root}/name`, "utf8"), "new");
  assert.equal(await readFile(`${swap.replaced}/name`, "utf8"), "old");
});

test("swapFolders() moves the old folder back when the new one cannot take its place", async () => {
  await using folder = await createTempFolder();
  const swap = await foldersIn(folder);
  const swapping = swapFolders(swap, failing(1, (from) => from === swap.replaced));
  await assert.rejects(swapping, (error) => isAppError(error, "io") && error.message.includes("no space"));
  assert.equal(await readFile(`${swap.root}/name`, "utf8"), "old");
  assert.deepEqual((await readdir(folder.path)).sort(), ["root", "staging"]);
});

test("swapFolders() names the path of the old folder when it cannot be moved back either", async () => {
  await using folder = await createTempFolder();
  const swap = await foldersIn(folder);
  const swapping = swapFolders(swap, failing(1, () => false));
  await assert.rejects(swapping, (error) => isAppError(error, "io") && error.hint?.includes(swap.replaced) === true);
  assert.equal(await readFile(`${swap.replaced}/name`, "utf8"), "old");
});
