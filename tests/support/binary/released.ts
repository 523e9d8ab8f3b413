/** The released files under test, which `deno task file` builds. */
import { dirname, join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../../core/version.ts";
import { type Platform, toFileName } from "../../../scripts/build/node_runtime.ts";

/** Returns the path of the file for this machine. */
export function hostFile(): string {
  const path = process.env["TLSBOOT_TEST_BINARY"];
  if (path === undefined) throw new Error("these tests need the released file: deno task file");
  return path;
}

/** The folder of the released files. */
export function releasedFolder(): string {
  return dirname(hostFile());
}

/** Returns the path of the file for a platform. */
export function releasedFile(target: Platform): string {
  return join(releasedFolder(), toFileName(target, TLSBOOT_VERSION));
}
