/** Checks the program's own file against the signed list of a release. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Io } from "../../io.ts";
import { readRelease } from "../../release.ts";
import type { VersionSettings } from "./flags.ts";

/** Prints which file of a release the program is; the exit code is 3 when it is none. */
export async function verifyOwnFile({ release, releaseKey }: VersionSettings, io: Io): Promise<ExitCode> {
  const folder = release === undefined ? dirname(io.execPath) : resolve(io.cwd, release);
  const found = await readRelease(folder, releaseKey, io);
  if (!found.ok) return refuse(found.error, io);
  const { name, keyId, hashes } = found.value;
  const hash = createHash("sha256").update(await readFile(io.execPath)).digest("hex");
  const file = [...hashes.keys()].find((one) => hashes.get(one) === hash);
  if (file === undefined) return refuse(`${io.execPath} is no file of ${name}`, io);
  io.stdout.write(`${io.execPath} is ${file} of ${name}, signed by ${keyId}\n`);
  return EXIT.done;
}

function refuse(why: string, io: Io): ExitCode {
  io.stdout.write(`not verified: ${why}\n`);
  return EXIT.no;
}
