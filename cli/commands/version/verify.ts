/** Checks the program's own file against the signed list of a release. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseMinisignKey, verifyMinisign } from "../../../core/pki/minisign.ts";
import { createFilePort } from "../../../client/files.ts";
import { RELEASE_KEY } from "../../release_key.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { readRequiredFile } from "../../instance/required_file.ts";
import type { Io } from "../../io.ts";
import type { VersionSettings } from "./flags.ts";

/** The list of hashes of a release, in the format of sha256sum. */
const SUMS = "SHA256SUMS";

/** Prints which file of a release the program is; the exit code is 3 when it is none. */
export async function verifyOwnFile({ release, releaseKey }: VersionSettings, io: Io): Promise<ExitCode> {
  const read = (path: string): Promise<string> => readRequiredFile(path, { files: createFilePort(), cwd: io.cwd });
  const text = releaseKey === undefined ? RELEASE_KEY : await read(releaseKey);
  if (text === undefined) {
    throw new UsageError("there is no release key in this build", "name the minisign public key with --release-key");
  }
  const key = parseMinisignKey(text);
  if (!key.ok) throw new UsageError(`cannot read the release key: ${key.error}`);
  const folder = release === undefined ? dirname(io.execPath) : resolve(io.cwd, release);
  const [sums, signature, program] = await Promise.all([
    read(join(folder, SUMS)),
    read(join(folder, `${SUMS}.minisig`)),
    readFile(io.execPath),
  ]);
  const signed = verifyMinisign(Buffer.from(sums), signature, key.value);
  if (!signed.ok) return refuse(`${join(folder, SUMS)}: ${signed.error}`, io);
  const hash = createHash("sha256").update(program).digest("hex");
  const line = sums.split("\n").find((one) => one.startsWith(`${hash}  `));
  if (line === undefined) return refuse(`${io.execPath} is no file of ${signed.value}`, io);
  io.stdout.write(`${io.execPath} is ${line.slice(hash.length + 2)} of ${signed.value}, signed by ${key.value.id}\n`);
  return EXIT.done;
}

function refuse(why: string, io: Io): ExitCode {
  io.stdout.write(`not verified: ${why}\n`);
  return EXIT.no;
}
