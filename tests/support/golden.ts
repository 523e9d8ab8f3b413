/** Golden files below tests/golden, refreshed by TLSBOOT_UPDATE_GOLDEN=1 and read in review. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { ROOT } from "./child.ts";

/** Compares a text with a file of the checkout; writes it instead when the flag is set. */
export async function assertGolden(path: string, actual: string): Promise<void> {
  const file = join(ROOT, path);
  if (process.env["TLSBOOT_UPDATE_GOLDEN"] === "1") {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, actual);
    return;
  }
  const expected = await readFile(file, "utf8").catch(() => "");
  assert.equal(actual, expected, `${path} differs; refresh it with TLSBOOT_UPDATE_GOLDEN=1 and review the changes`);
}
