/** Opens the file of a backup and shows how much of it has been read. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { DERIVING_KEY, formatMegabytes, type ProgressLine } from "../../output/progress.ts";
import { type BackupOpener, decryptBackup } from "../../../instance/backup/encryption.ts";
import { reportBytes } from "../../../instance/backup/write_backup.ts";

/** Decrypts the backup at `path`, and draws its progress under the text `doing`. Throws AppError as `decryptBackup`. */
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
