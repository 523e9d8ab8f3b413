/** The signed list of a release: `SHA256SUMS` and its signature in a folder, such as a stick. */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { err, ok, type Result } from "../core/lib/result.ts";
import { parseMinisignKey, verifyMinisign } from "./minisign.ts";
import { UsageError } from "./framework/usage_error.ts";
import { readRequiredFile } from "../instance/named_files.ts";
import type { Tools } from "./io.ts";
import { RELEASE_KEY } from "./release_key.ts";

/** The list of hashes of a release, in the format of sha256sum. */
const SUMS = "SHA256SUMS";

/** A release whose list has a genuine signature. */
export interface Release {
  /** The trusted comment of the signature, which names the release. */
  readonly name: string;
  /** The number of the key that signed it. */
  readonly keyId: string;
  /** The SHA-256 of each file by its name, in hexadecimal. */
  readonly hashes: ReadonlyMap<string, string>;
}

/**
 * Reads the list in a folder and checks its signature, with the key in the file `releaseKey` or that of the releases. The
 * error says what is not genuine. UsageError without a key, AppError `io` without a list.
 */
export async function readRelease(
  folder: string,
  releaseKey: string | undefined,
  tools: Pick<Tools, "files" | "cwd">,
): Promise<Result<Release, string>> {
  const read = (path: string): Promise<string> => readRequiredFile(path, tools);
  const text = releaseKey === undefined ? RELEASE_KEY : await read(releaseKey);
  if (text === undefined) {
    throw new UsageError("there is no release key in this build", "name the minisign public key with --release-key");
  }
  const key = parseMinisignKey(text);
  if (!key.ok) throw new UsageError(`cannot read the release key: ${key.error}`);
  const path = join(folder, SUMS);
  const sums = await read(path);
  const signature = await read(`${path}.minisig`);
  const signed = verifyMinisign(Buffer.from(sums), signature, key.value);
  if (!signed.ok) return err(`${path}: ${signed.error}`);
  const lines = sums.matchAll(/^([0-9a-f]{64}) {2}(.+)$/gm);
  const hashes = new Map([...lines].map(([, hash = "", name = ""]) => [name, hash]));
  return ok({ name: signed.value, keyId: key.value.id, hashes });
}
