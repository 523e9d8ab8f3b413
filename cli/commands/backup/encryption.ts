/**
 * Reads the keys of a backup that the flags choose (public keys, secret keys, or a passphrase), and opens a backup with a
 * progress line.
 */
import { resolve } from "node:path";
import { Secret } from "../../../core/lib/brand.ts";
import { AppError } from "../../../core/errors.ts";
import { createPassphrases } from "../../passphrases/passphrase.ts";
import { readPrivateFile } from "../../../client/private_file.ts";
import type { Tools } from "../../io.ts";
import { type BackupOpener, type BackupRecipients, decryptBackup } from "../../../instance/backup/encryption.ts";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { DERIVING_KEY, formatMegabytes, type ProgressLine } from "../../output/progress.ts";
import { reportBytes } from "../../../instance/backup/write_backup.ts";

interface OpeningSettings {
  readonly passphraseFile: string | undefined;
  readonly identity: string | undefined;
}

const WORDS = { what: "backup", flag: "--passphrase-file" };

/** Reads the public keys or the passphrase that a new backup is encrypted for. Throws AppError `passphrase_missing`. */
export async function readRecipients(
  settings: Pick<OpeningSettings, "passphraseFile"> & { readonly recipient: readonly string[] },
  name: string,
  tools: Tools,
): Promise<BackupRecipients> {
  if (settings.recipient.length === 0) {
    const source = createPassphrases(settings.passphraseFile, tools, WORDS);
    return { kind: "passphrase", passphrase: await source.getForCreating(name), workFactor: tools.backupWorkFactor };
  }
  return { kind: "keys", recipients: settings.recipient };
}

/**
 * Reads the secret keys or the passphrase that open a backup. Throws AppError `not_found`, `key_invalid`,
 * `file_permissions` or `passphrase_missing`.
 */
export async function readOpener(settings: OpeningSettings, name: string, tools: Tools): Promise<BackupOpener> {
  const { files } = tools;
  if (settings.identity === undefined) {
    const source = createPassphrases(settings.passphraseFile, tools, WORDS);
    return { kind: "passphrase", passphrase: await source.getForOpening(name) };
  }
  const words = { what: `identity "${settings.identity}"`, hint: "check the path of --identity" };
  const text = await readPrivateFile(resolve(tools.cwd, settings.identity), files, words);
  const identities = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "" && line[0] !== "#");
  if (identities.length > 0) return { kind: "identities", identities: new Secret(identities) };
  throw new AppError("key_invalid", `cannot use identity "${settings.identity}": it contains no key`, {
    hint: "give the file that age-keygen wrote",
  });
}

/** Decrypts the backup at `path`, and shows the progress after the text `doing`. Throws AppError as `decryptBackup`. */
export async function openWithProgress(
  path: string,
  opener: BackupOpener,
  doing: string,
  progress: ProgressLine,
): Promise<AsyncIterable<Uint8Array>> {
  // A missing file is reported by the stream.
  const total = (await stat(path).catch(() => undefined))?.size ?? 0;
  let [done, isOpen] = [0, false];
  const show = (): void => progress.update(doing, { done, total, format: formatMegabytes });
  const sealed = reportBytes(createReadStream(path), (bytes) => {
    done = bytes;
    if (isOpen) show();
  });
  if (opener.kind === "passphrase") progress.update(DERIVING_KEY);
  const archive = await decryptBackup(sealed, opener);
  isOpen = true;
  show();
  return archive;
}
