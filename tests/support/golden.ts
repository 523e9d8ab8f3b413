/** Golden files below tests/golden. TLSBOOT_UPDATE_GOLDEN=1 refreshes them, and reviewers read the changes. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { ROOT } from "./child.ts";

/** Compares a text with a golden file, or writes the file when TLSBOOT_UPDATE_GOLDEN is 1. */
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
