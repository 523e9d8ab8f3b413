/** The key with which an installation signs its exports (`--bundle-key`). */
import { dirname, join, resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import { AppError } from "../../../core/errors.ts";
import { generatePrivateKey, parsePrivateKey, type PrivateKey } from "../../../core/pki/keys/keys.ts";
import { dataDirAt, SECRET_MODE } from "../../../instance/data_dir.ts";
import { UsageError } from "../../framework/usage_error.ts";

interface BundleKeySettings {
  readonly dataDir: string;
  readonly bundleKey: string | undefined;
}

export function getBundleKeyPath({ dataDir, bundleKey }: BundleKeySettings, cwd: string): string {
  return bundleKey === undefined ? join(dataDirAt(resolve(cwd, dataDir)).pki, "bundle.key") : resolve(cwd, bundleKey);
}

/** Reads the key; undefined when there is none. Throws AppError `file_permissions`, `key_invalid`. */
export async function readBundleKey(path: string, files: FilePort): Promise<PrivateKey | undefined> {
  const pem = await files.readText(path);
  if (pem === undefined) return undefined;
  await checkPrivateFile(path, files);
  const key = parsePrivateKey(pem);
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot use bundle key "${path}": ${key.error}`, {
    hint: "restore it from a backup; a new key has to be trusted at the CA again",
  });
}

/** Reads the key, or creates it. UsageError when the folder of a new key does not exist. */
export async function openBundleKey(
  path: string,
  files: FilePort,
): Promise<{ readonly key: PrivateKey; readonly isNew: boolean }> {
  const present = await readBundleKey(path, files);
  if (present !== undefined) return { key: present, isNew: false };
  if (await files.stat(dirname(path)) === undefined) {
    throw new UsageError(
      `no place for the key that signs exports: the folder of "${path}" does not exist`,
      "name a file for it, which is created: --bundle-key bundle.key",
    );
  }
  const key = await generatePrivateKey("ecdsa-p256");
  await files.createExclusive(path, key.toPem(), SECRET_MODE);
  return { key, isNew: true };
}
