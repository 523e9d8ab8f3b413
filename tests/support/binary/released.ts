/** The released files that are tested: `deno task test --binary` builds them. */
import { Buffer } from "node:buffer";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { TLSBOOT_VERSION } from "../../../core/version.ts";
import { findTargets, type Target, toFileName } from "../../../scripts/build/targets.ts";

/** Path of the file for this machine. */
export function hostFile(): string {
  const path = process.env["TLSBOOT_TEST_BINARY"];
  if (path === undefined) throw new Error("these tests are of the released file: deno task test --binary");
  return path;
}

/** The folder of the released files. */
export function releasedFolder(): string {
  return dirname(hostFile());
}

/** Path of the file of a target, by its name. */
export function releasedFile(name: string): string {
  return join(releasedFolder(), toFileName(getTarget(name), TLSBOOT_VERSION));
}

/** Some bytes of a file. */
export async function readBytes(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length) throw new Error(`${path} ends before ${offset + length}`);
    return buffer;
  } finally {
    await file.close();
  }
}

function getTarget(name: string): Target {
  return findTargets(name)[0]!;
}
