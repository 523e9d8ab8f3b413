/** Checks the program's own file against the signed list of a release. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { readRelease } from "../../release.ts";
import type { versionCommand } from "./flags.ts";

/** Prints which file of a release the program is; the exit code is 3 when it is none. */
export async function verifyOwnFile(
  { release, releaseKey }: Settings<typeof versionCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const folder = release === undefined ? dirname(tools.execPath) : resolve(tools.cwd, release);
  const found = await readRelease(folder, releaseKey, tools);
  if (!found.ok) return refuse(found.error, tools);
  const { name, keyId, hashes } = found.value;
  const hash = createHash("sha256").update(await readFile(tools.execPath)).digest("hex");
  const file = [...hashes.keys()].find((one) => hashes.get(one) === hash);
  if (file === undefined) return refuse(`${tools.execPath} is no file of ${name}`, tools);
  tools.stdout.write(`${tools.execPath} is ${file} of ${name}, signed by ${keyId}\n`);
  return EXIT.done;
}

function refuse(why: string, tools: Tools): ExitCode {
  tools.stdout.write(`not verified: ${why}\n`);
  return EXIT.no;
}
